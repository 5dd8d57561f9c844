from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidfer.results.consent import COLUMNS, Consent
from vidfer.types import UsageError

TODAY = date(2026, 11, 27)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["", "yes", "Yes", "TRUE", "no", "False", "WITHDRAWN", "withdrawn"]),
    st.none() | st.integers(-800, 800),
)
def test_a_clip_is_refused_without_consent_and_after_its_last_day(answer, days):
    until = "" if days is None else (TODAY + timedelta(days)).isoformat()
    said = Consent.read({"consent": answer, "retain_until": until}).refusal(TODAY)
    assert bool(said) == (answer.lower() in ("no", "false", "withdrawn") or (days is not None and days < 0))


@given(st.sampled_from(["consent", "consent_date", "retain_until"]), st.text())
@settings(max_examples=50, deadline=None)
def test_what_is_no_answer_and_no_day_is_refused_with_its_place(name, text):
    cell = text.strip()
    if not cell or (name == "consent" and cell.lower() in ("yes", "no", "withdrawn", "true", "false")):
        return
    with pytest.raises(UsageError) as caught:
        Consent.read({name: text}, "participants.csv, line 3: ")
    assert str(caught.value).startswith(f"participants.csv, line 3: {name} is '")


@pytest.mark.parametrize("day", ["31.12.2027", "2027-1-2", "20270102", "2027-02-30", "soon", "2027-W01-1"])
def test_a_day_has_one_form(day):
    with pytest.raises(UsageError, match=r"write a day such as 2027-12-31"):
        Consent.read({"retain_until": day})


def test_only_what_is_known_is_recorded():
    row = dict(zip(COLUMNS, ("yes", "2026-01-02", None, " teaching "), strict=True))
    assert Consent.read(row).record() == {"consent": "yes", "consent_date": "2026-01-02", "purpose": "teaching"}
    assert Consent.read({}).record() is None
