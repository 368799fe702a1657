"""Tests on real data skip with a reason, and fail where a variable names a folder that does not hold the data."""

import pytest


@pytest.mark.parametrize(("fixture", "variable"), [("data", "ANOMALY_OV_DATA"), ("weights", "ANOMALY_OV_WEIGHTS")])
def test_absent_data_skip_unless_they_were_promised(request, monkeypatch, tmp_path, fixture, variable) -> None:
    folder = request.getfixturevalue(fixture)
    for nothing in (None, ""):
        monkeypatch.delenv(variable, raising=False) if nothing is None else monkeypatch.setenv(variable, nothing)
        with pytest.raises(pytest.skip.Exception, match=rf"no .*no/such/set: set {variable} to the folder that holds"):
            folder("no/such/set")
    monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=rf"no {tmp_path}/parts: {variable}={tmp_path} must hold parts"):
        folder("parts")
    (tmp_path / "parts").mkdir()
    assert folder("parts") == tmp_path / "parts"
