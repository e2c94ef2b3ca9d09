"""The corpus: each crew's file in `crews/`, and how it is kicked off."""

from typing import Any

from fidelity.model import Case, Differs, Kickoff, Step


def once(**inputs: Any) -> tuple[Step, ...]:
    return (Step((Kickoff(inputs),)),)


def in_turn(*kickoffs: Kickoff) -> tuple[Step, ...]:
    """One after the other."""
    return tuple(Step((one,)) for one in kickoffs)


def guests(name: str) -> tuple[Step, ...]:
    """Two kickoffs of one session, then one of another and one of none: what would be kept shows."""
    who = (("ada", "Ada"), ("ada", "Bob"), ("eve", "Eve"), (None, "Max"))
    return in_turn(*(Kickoff({name: one}, session) for session, one in who))


def at_once(rounds: int = 20) -> tuple[Step, ...]:
    return (Step((Kickoff({"number": 7}),) * 8, rounds),)


# What the copy of a crew lost.
COPIED = (
    Case("mcp_stdio", "crew", "mcps: an MCP server over stdio", once(shelf="B4"), shows="B4 has atlases"),
    Case("apps", "crew", "apps", once(to="ada"), shows="sent to ada"),
    Case("agents_by_tasks", "crew", "agents given only by their tasks", shows="two | given (one)"),
    Case("same_text", "crew", "context between tasks of the same text", shows="edited | given (the second draft)"),
    Case(
        "context_elsewhere",
        "crew",
        "context of a task of another crew",
        differs=tuple(
            Differs(f"0.0.usage.{name}", 2 * one, one, "the usage is of this kickoff alone, not of what made the crew")
            for name, one in (
                ("completion_tokens", 5),
                ("prompt_tokens", 10),
                ("successful_requests", 1),
                ("total_tokens", 15),
            )
        ),
        shows="given (found)",
    ),
    Case("one_role", "crew", "agents of one role", shows="went right"),
    Case("planning_llm", "crew", "planning=True, planning_llm", once(x="tea"), shows="the planned second"),
    Case("chat_llm", "crew", "chat_llm", shows="warm"),
    Case("function_calling_llm", "crew", "function_calling_llm of agent and crew", shows="OpenAICompletion"),
    Case("planning_config", "crew", "planning_config.llm", shows="the agent's planner was asked"),
    Case("llm_parameters", "crew", "LLM(...): headers, timeout, seed and others", shows="acme"),
    Case("llm_timeout", "crew", "LLM(timeout=1) of a slow model", shows="timed out"),
    Case(
        "agent_memory",
        "crew",
        "Agent(memory=...) with LLM(...)",
        in_turn(*(Kickoff({"what": one}, "ada") for one in "xy")),
        shows="remember-y",
        steady_usage=False,
    ),
    Case("memory_scope", "crew", "memories of agents: scope and slice", once(what="salt"), shows="the soup needs salt"),
    Case("crew_subclass", "crew", "a subclass of Crew", once(x="yes"), shows="seen by Ada"),
)

# What one process for many kickoffs mixed.
SHARED = (
    Case("tool_state", "crew", "a tool keeps something in its object", guests("item"), shows="has Bob"),
    Case(
        "globals_of_module", "crew", "globals, class attributes, LLM counters, caches", guests("guest"), shows="call 1"
    ),
    Case(
        "crewbase",
        "Office",
        "a @CrewBase class keeps something in itself",
        guests("topic"),
        shows="EVE filed after 1 visit",
    ),
    Case("max_usage", "crew", "a tool of max_usage_count=1", guests("code"), shows="Bob redeemed"),
    Case("random_numbers", "crew", "random numbers", (Step((Kickoff(),) * 6),), distinct=True),
)

# What a fork over an import's doings broke.
FORKED = (
    Case("asyncio_loop", "crew", "an asyncio loop made at import", at_once(), shows='"14"'),
    Case("http_session", "crew", "a requests.Session with an open connection", at_once(), shows="all right"),
    Case("database", "crew", "database connections", at_once(), shows="all right"),
    Case("grpc_channel", "crew", "a gRPC channel", at_once(), shows="all right"),
    Case("thread_pool", "crew", "a thread pool and a thread", at_once(), shows='"50"'),
)

TOLD = (
    Case("plain", "crew", "two tasks, one after the other", once(when="morning")),
    Case(
        "crew_memory", "make", "memory of a crew, over sessions", guests("what"), shows="likes Ada", steady_usage=False
    ),
    Case(
        "spans",
        "crew",
        "spans of the author's OpenTelemetry",
        once(order="Say"),
        settles=3.0,
        shows="received span-last",
    ),
    Case(
        "spans_of_a_failure",
        "crew",
        "spans of a kickoff that fails",
        once(order="Fail with"),
        module="spans",
        settles=3.0,
        shows="received span-made",
    ),
    Case("typed_output", "crew", "output_pydantic: Enum, dates and more", shows="12345678-1234"),
    Case("json_output", "crew", "output_json between tasks", shows="read | given"),
    Case("json_output_last", "menu", "output_json of the last task", module="json_output"),
    Case("braces", "crew", "braces that are no inputs", shows="{dish}: {price}"),
    Case("braces_named", "crew", "the same, with spec.crew.inputs", module="braces", settings={"CREWOPS_INPUTS": ""}),
    Case("after_kickoff_none", "crew", "after_kickoff that returns None", shows="finished two"),
    Case("after_kickoff_list", "crew", "after_kickoff that returns a model of a list", shows='"json": [214, 215]'),
    Case(
        "too_long",
        "crew",
        "a text too long for the embedder, with onFailure: Degrade",
        once(text="long " * 1000),
        settings={"CREWOPS_MEMORY_ON_FAILURE": "Degrade"},
    ),
    Case(
        "too_long_closed",
        "crew",
        "the same with onFailure: FailClosed, the default",
        once(text="long " * 1000),
        module="too_long",
        differs=(
            Differs(
                "0.0.status",
                "completed",
                "error, MemoryFailed",
                "bare, it completes without its memory; here it says so, and has the crew's result all the same",
            ),
        ),
    ),
    Case("reasoning", "crew", "reasoning=True"),
)

OUTPUTS = (
    Case("guardrail", "crew", "a guardrail that refuses, then changes", shows="ONE | AFTER"),
    Case("guardrail_fails", "crew", "a guardrail that nothing passes"),
    Case("guardrails", "crew", "guardrails, one judged by an LLM", shows="one!!"),
    Case(
        "conditional",
        "crew",
        "conditional tasks",
        differs=(Differs("0.0.tasks.1.name", None, "", "a task without a name: the name is a text in our API"),),
        shows="ran",
    ),
    Case("output_file", "crew", "output_file, markdown, the crew's log file", once(name="tea"), shows="written"),
    Case(
        "made_file",
        "Desk",
        "a file by @before_kickoff, in the place of input_files",
        (Step((Kickoff({"page": "menu"}, "ada"), Kickoff({"page": "wines"}, "eve"))),),
        shows="read menu",
    ),
    Case("big_output", "crew", "two megabytes of text in other alphabets"),
    Case(
        "inputs_of_kinds",
        "crew",
        "inputs that are no strings",
        once(
            name="Grüße 你好",
            count=3,
            price=4.5,
            yes=True,
            items=["a", {"b": None}],
            nested={"x": [1]},
            template="{count}",
        ),
    ),
    Case("self_knowledge", "crew", "what a crew knows of itself afterwards", once(town="Ulm")),
    Case("llm_fails", "llm_fails", "an LLM that fails", once(host="here"), module="failing"),
    Case("callback_fails", "callback_fails", "an exception of the author's own", module="failing"),
    Case("missing_input", "missing_input", "an input that is missing", once(x="tea"), module="failing"),
)

AGENTS = (
    Case("callbacks", "crew", "callbacks of steps, tasks, kickoffs", once(x="tea"), shows="two and after"),
    Case("hooks", "crew", "hooks around LLMs and tools", once(word="tea"), shows="hooked"),
    Case("listener", "crew", "an event listener", once(x="tea"), shows="tool ping pong"),
    Case("hierarchical_llm", "crew", "hierarchical, manager_llm", shows="the soup is made"),
    Case("hierarchical_agent", "crew", "hierarchical, manager_agent", shows="yes"),
    Case("delegation", "crew", "allow_delegation", once(guest="ada"), shows="soup for ada"),
    Case("knowledge", "crew", "knowledge of crew and agent", shows="is in the cellar"),
    Case(
        "knowledge_file",
        "crew",
        "knowledge out of files",
        files={"knowledge/menu.txt": "The menu has peanuts.", "knowledge/nuts.json": '{"nuts": "almonds"}'},
        shows="peanuts",
    ),
    Case("streaming", "crew", "stream=True", shows="chunk piece by piece"),
    Case("async_tasks", "crew", "tasks beside each other"),
    Case("async_tool", "crew", "coroutines as tools, context variables", shows="tea later"),
    Case("tool_schema", "crew", "args_schema, result_as_answer, a tool that fails", shows="3 soup"),
    Case("tool_cache", "crew", "cache_function", in_turn(Kickoff(), Kickoff()), shows="looked up tea"),
    Case("native_tools", "crew", "native calls of functions", shows="tea 5 g"),
    Case("max_iterations", "crew", "max_iter, max_rpm, inject_date", shows="a hole"),
    Case("templates", "crew", "prompt templates, stop words"),
    Case("trained", "crew", "a trained crew's file", shows="be brief"),
)

FLOWS = (
    Case("lite_agent", "flow", "Agent.kickoff in a function's flow", shows="typed"),
    Case("flow_router", "Loop", "a router that loops, or_, and_", once(topic="tea"), shows="tea after 3"),
    Case("flow_of_crews", "Office", "a flow of crews", once(x="tea"), shows="1 of tea"),
    Case("flow_persist", "Shop", "@persist, over sessions", guests("item"), shows="Ada, Bob"),
    Case(
        "flow_rollout",
        "Counter",
        "@persist, a field added by a rollout",
        (Step((Kickoff(session="ada"),)), Step((Kickoff(session="ada"),), environ={"VERSION": "2"})),
        shows="KeyError",
    ),
    Case("flow_fails", "Failing", "a flow whose method raises"),
    Case("flow_model", "Model", "a flow that returns a model", module="flow_returns"),
    Case(
        "flow_list_model",
        "ListModel",
        "a flow that returns a model that is a list",
        module="flow_returns",
        shows='"json": ["soup"]',
    ),
    Case("flow_dict", "Dict", "a flow that returns a dict", module="flow_returns"),
    Case("flow_list", "List", "a flow that returns a list", module="flow_returns"),
    Case("flow_number", "Number", "a flow that returns a number", module="flow_returns"),
    Case("flow_nothing", "Nothing", "a flow that returns nothing", module="flow_returns"),
    Case(
        "conversation",
        "Talk",
        "a conversational flow, over sessions",
        in_turn(
            *(
                Kickoff({"message": one}, session, turn=True)
                for one, session in (("hi", "ada"), ("tea", "ada"), ("yo", "eve"))
            )
        ),
        shows="hi; tea",
    ),
    Case(
        "human_task",
        "crew",
        "human_input: a change, then approval",
        (Step((Kickoff(answers=("shorter", "")),)),),
        shows="heard shorter",
    ),
    Case(
        "human_flow_yes",
        "Review",
        "@human_feedback with emit",
        (Step((Kickoff({"topic": "tea"}, answers=("lovely",)),)),),
        module="human_flow",
        shows="published",
    ),
    Case(
        "human_flow_no",
        "Review",
        "@human_feedback, the other outcome",
        (Step((Kickoff({"topic": "tea"}, answers=("dreadful",)),)),),
        module="human_flow",
        shows="discarded",
    ),
    Case("training", "School", "train, then use what was learned", shows="be brief"),
    Case("replay", "Again", "replay from the second task", once(x="tea"), shows="two | given (one tea)"),
)

PROGRAMS = (
    Case(
        "main_module",
        "crew",
        "a main module: .env, logging, argv",
        files={".env": "GREETING=salut\n"},
        shows="finished salut",
    ),
    Case("at_exit", "crew", "atexit, and a thread left behind", settles=3.0, shows="a thread's last line"),
    Case("children", "crew", "tools that start processes", shows="42 9 32"),
    Case("signals", "crew", "signal handlers, alarms, the main thread", shows="rang"),
    Case("printing", "crew", "printing, and reading of stdin", shows="spoke"),
    Case("entrypoint_inner", "Crews.inner", "entrypoint: an attribute of a class", module="entrypoints"),
    Case("entrypoint_static", "Crews.static", "entrypoint: a static method", module="entrypoints"),
    Case("entrypoint_partial", "given", "entrypoint: a partial", module="entrypoints"),
)

CASES = (*OUTPUTS, *AGENTS, *FLOWS, *PROGRAMS, *COPIED, *SHARED, *FORKED, *TOLD)
