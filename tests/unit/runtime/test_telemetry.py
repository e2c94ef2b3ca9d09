from crew_runtime import telemetry


def test_the_users_own_telemetry_setting_stays():
    environ = {"OTEL_SDK_DISABLED": "false"}
    telemetry.turn_off(environ)
    assert environ["OTEL_SDK_DISABLED"] == "false"
    assert environ["CREWAI_DISABLE_TELEMETRY"] == "true"
