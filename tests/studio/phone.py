"""A page of words and patches on a phone."""

from pathlib import Path
from typing import Any

from . import webdriver


def check_on_phone(page: Path, profile: Path, question: str = "return null") -> list[Any]:
    """Open a page in Korean on a narrow dark screen: nothing is wider than the screen, and no text has an unfilled
    place, with words and with the patches alone. Returns the values of the script `question` in these two modes."""
    answers = []
    with webdriver.Browser(profile, width=360, height=740, dark=True) as browser:
        browser.open(page, "#language=ko")
        browser.wait("document.getElementById('readout').textContent.includes('행')")
        assert browser.run("return document.documentElement.scrollWidth") <= 360
        for mode in (1, 0):
            browser.run(f"document.querySelectorAll('#mode button')[{mode}].click()")
            browser.wait("document.getElementById('maps').ariaBusy === 'false'")
            assert "{" not in browser.run("return document.body.innerText")
            answers.append(browser.run(question))
        assert browser.console() == []
    return answers
