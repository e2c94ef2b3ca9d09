CREATE TABLE crewops.kickoffs (
  crew text NOT NULL,
  kickoff_id text NOT NULL,
  session_id text,
  status text NOT NULL,
  reason text NOT NULL,
  error text,
  memory text,
  inputs jsonb,
  meta jsonb,
  result jsonb,
  details jsonb,
  omitted jsonb,
  attempts integer,
  losses integer,
  created_at timestamptz,
  started_at timestamptz,
  ended_at timestamptz NOT NULL,
  seconds double precision,
  total_tokens bigint,
  usage jsonb,
  replica text,
  image text,
  versions jsonb,
  written_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  PRIMARY KEY (crew, kickoff_id, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX kickoffs_by_session ON crewops.kickoffs (crew, session_id, ended_at);
CREATE INDEX kickoffs_by_time ON crewops.kickoffs (crew, ended_at);

CREATE TABLE crewops.task_outputs (
  crew text NOT NULL,
  kickoff_id text NOT NULL,
  number integer NOT NULL,
  session_id text,
  name text,
  agent text,
  output text,
  seconds double precision,
  ended_at timestamptz NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  PRIMARY KEY (crew, kickoff_id, number, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX task_outputs_by_session ON crewops.task_outputs (crew, session_id, ended_at);
CREATE INDEX task_outputs_by_time ON crewops.task_outputs (crew, ended_at);

CREATE TABLE crewops.human_input (
  crew text NOT NULL,
  kickoff_id text NOT NULL,
  question_id text NOT NULL,
  event text NOT NULL,
  session_id text,
  attempt integer,
  content jsonb,
  at timestamptz NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  PRIMARY KEY (crew, kickoff_id, question_id, event, at)
) PARTITION BY RANGE (at);
CREATE INDEX human_input_by_session ON crewops.human_input (crew, session_id, at);
CREATE INDEX human_input_by_time ON crewops.human_input (crew, at);

CREATE TABLE crewops.messages (
  crew text NOT NULL,
  message_id text NOT NULL,
  kickoff_id text NOT NULL,
  session_id text,
  type text NOT NULL,
  content text,
  at timestamptz NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  PRIMARY KEY (crew, message_id, at)
) PARTITION BY RANGE (at);
CREATE INDEX messages_by_session ON crewops.messages (crew, session_id, at);
CREATE INDEX messages_by_time ON crewops.messages (crew, at);

CREATE TABLE crewops.erasures (
  crew text NOT NULL,
  session_sha256 text NOT NULL,
  counts jsonb,
  at timestamptz NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  erased_at timestamptz,
  PRIMARY KEY (crew, session_sha256, at)
) PARTITION BY RANGE (at);
CREATE INDEX erasures_by_time ON crewops.erasures (crew, at);
