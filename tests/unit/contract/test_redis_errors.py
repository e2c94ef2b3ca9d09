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
