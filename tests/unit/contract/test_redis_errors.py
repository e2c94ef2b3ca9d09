import pytest

from crew_runtime.contract import redis_errors


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:12.", "OutOfMemory"),
        (
            "ERR Error running script (call to f_1f): @user_script:12: -OOM command not allowed when used.",
            "OutOfMemory",
        ),
        ("MISCONF Errors writing to the AOF file: No space left on device", "DiskFull"),
        ("READONLY You can't write against a read only replica.", "ReadOnly"),
        ("NOREPLICAS Not enough good replicas to write.", "ReadOnly"),
        ("NOPERM User x has no permissions to run the 'set' command", "AuthFailed"),
        ("NOAUTH Authentication required.", "AuthFailed"),
        ("ERR invalid password", "AuthFailed"),
        ("LOADING Redis is loading the dataset in memory", "Loading"),
        ("ERR unknown command", None),
        ("SSH-2.0-OpenSSH_9.2 OOM", None),
        ("", None),
    ],
)
def test_an_error_is_known_by_how_redis_begins_it(text, kind):
    assert redis_errors.kind(text) == kind


def test_what_redis_py_took_off_is_put_back():
    assert redis_errors.kind_of_reply("command not allowed when used memory > 'maxmemory'.", "OOM") == "OutOfMemory"
    assert redis_errors.kind_of_reply("MISCONF Errors writing to the AOF file", None) == "DiskFull"
    assert redis_errors.kind_of_reply("unknown command", "ERR") == "Error"


def test_an_error_in_a_pipeline_is_known_behind_what_redis_py_writes_before_it():
    said = "Command # 1 (HSET key OOM) of pipeline caused error: "
    assert redis_errors.kind_of_reply(f"{said}MISCONF Errors writing to the AOF file", None) == "DiskFull"
    assert redis_errors.kind_of_reply(f"{said}command not allowed", "OOM") == "OutOfMemory"
    assert redis_errors.kind_of_reply(f"{said}unknown command", "ERR") == "Error"


@pytest.mark.parametrize(
    "echo",
    [
        "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `default`, `hunter2`, ",
        "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'hunter2' ",
        "ERR unknown command 'AUTH', with args beginning with: 'hunter2' ",
        "ERR unknown command 'hello', with args beginning with: '3' 'auth' 'default' 'hunter2' ",
        "ERR cannot do: HELLO 3 AUTH default hunter2",
        "ERR AUTH default hunter2: not here",
        "NOAUTH what is AUTH\thunter2",
        "ERR Client sent AUTH, but no password is set; it was hunter2",
    ],
)
def test_what_repeats_the_greeting_is_cut_before_the_password(echo):
    for said in (redis_errors.shown(echo), redis_errors.without_arguments(echo)):
        assert "hunter2" not in said
        assert said.startswith(echo[:8])
        assert said.endswith(" ...")


@pytest.mark.parametrize(
    "text",
    [
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOAUTH Authentication required.",
        "NOPERM User crew has no permissions to run the 'auth' command",
        "ERR wrong number of arguments for 'auth' command",
        "ERR Client sent AUTH, but no password is set",
        "ERR AUTH <password> called without any password configured for the default user. Are you sure?",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "ERR unknown command",
    ],
)
def test_redis_own_words_are_shown_whole(text):
    assert redis_errors.shown(text) == redis_errors.without_arguments(text) == text


def test_what_is_shown_is_a_short_line_that_no_terminal_obeys_and_has_nothing_that_was_to_be_stored():
    assert redis_errors.shown("ERR \x1b[2J\r\n" + "x" * 100_000) == "ERR [2J " + "x" * 492 + "..."
    piped = "Command # 1 (HSET key what somebody stores) of pipeline caused error: MISCONF no space"
    assert redis_errors.shown(piped) == "MISCONF no space"
