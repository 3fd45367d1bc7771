import pytest

from flare.errors import ConfigInvalid
from serving.app import create_app
from serving.settings import Settings, read_settings, variables


def test_the_defaults_follow_the_production_alias_of_the_registered_model(monkeypatch):
    monkeypatch.delenv("FLARE_ALIAS", raising=False)
    settings = read_settings()
    assert (settings.model_name, settings.alias) == ("solar-flare", "Production")
    assert settings.model == ""
    assert settings.tracking_uri is None


def test_settings_are_read_when_the_app_is_made_and_not_at_import(monkeypatch):
    monkeypatch.setenv("FLARE_ALIAS", "Candidate")
    assert create_app().state.settings.alias == "Candidate"


def test_an_argument_takes_precedence_over_the_environment(monkeypatch):
    monkeypatch.setenv("FLARE_POLL_SECONDS", "60")
    monkeypatch.setenv("FLARE_ALIAS", "Candidate")
    settings = read_settings(poll_seconds=2.5)
    assert (settings.poll_seconds, settings.alias) == (2.5, "Candidate")
    assert create_app(Settings(alias="Mine")).state.settings.alias == "Mine"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLARE_POLL_SECONDS", "0"),
        ("FLARE_POLL_SECONDS", "soon"),
        ("FLARE_MAX_UPLOAD_BYTES", "1000"),
        ("FLARE_MODEL_NAME", ""),
        ("FLARE_MODEL", "/no/such/folder"),
        ("FLARE_CORS_ORIGINS", "example.org"),
        ("FLARE_MAX_WAITING", "-1"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigInvalid, match=variable) as raised:
        read_settings()
    assert "\n" not in str(raised.value)
    assert repr(value).strip("'") in str(raised.value)


def test_two_wrong_values_are_both_named(monkeypatch):
    monkeypatch.setenv("FLARE_POLL_SECONDS", "-1")
    monkeypatch.setenv("FLARE_ALIAS", "")
    with pytest.raises(ConfigInvalid, match=r"FLARE_ALIAS.*FLARE_POLL_SECONDS"):
        read_settings()


def test_a_wrong_environment_ends_the_start_with_one_line_and_code_2(monkeypatch, capsys):
    monkeypatch.setenv("FLARE_POLL_SECONDS", "soon")
    with pytest.raises(SystemExit) as ended:
        create_app()
    assert ended.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: FLARE_POLL_SECONDS='soon'")


def test_every_setting_is_described_with_its_variable_and_default():
    result = {name: (default, text) for name, default, text in variables()}
    assert set(result) == {f"FLARE_{name.upper()}" for name in Settings.model_fields}
    assert all(text.endswith(".") for _, text in result.values())
    assert {name: result[name][0] for name in ("FLARE_MODEL", "FLARE_ALIAS", "FLARE_API_KEY")} == {
        "FLARE_MODEL": "",
        "FLARE_ALIAS": "Production",
        "FLARE_API_KEY": "",
    }
    assert result["FLARE_STATE_DIR"][0] == "outputs/serving"
    assert result["FLARE_THREADS"][0] == "0"
    assert result["FLARE_ACCESS_LOG"][0] == "true"
    assert result["FLARE_CORS_ORIGINS"][0] == result["FLARE_HOSTS"][0] == ""


def test_the_documented_defaults_are_the_defaults(monkeypatch):
    for name, default, _ in variables():
        monkeypatch.setenv(name, default)
    monkeypatch.delenv("FLARE_TRACKING_URI")
    assert read_settings() == Settings()


def test_origins_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("FLARE_CORS_ORIGINS", " https://a.example/ ,http://localhost:8000,")
    assert read_settings().cors_origins == ("https://a.example", "http://localhost:8000")


def test_the_number_of_cores_is_the_setting_or_the_usable_cores(monkeypatch):
    assert read_settings(threads=3).cores == 3
    monkeypatch.setattr("serving.settings.usable_cores", lambda: 2)
    assert read_settings().cores == 2
