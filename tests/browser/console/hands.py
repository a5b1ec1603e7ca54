"""Three ways to use the console: with a mouse, by the keyboard alone, and without script."""

from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

MAX_TABS = 250
# Whether the focused element looks different from itself without focus.
IS_SEEN = """element => {
    const look = () => {
        const style = getComputedStyle(element);
        return [style.outlineStyle, style.outlineWidth, style.outlineColor, style.boxShadow,
                style.backgroundColor, style.borderColor, style.textDecorationLine].join();
    };
    const focused = look();
    element.blur();
    const blurred = look();
    element.focus({focusVisible: true});
    return focused !== blurred;
}"""


@dataclass
class Hands:
    """Follows links, presses buttons and fills fields as a person does."""

    page: Page

    def press(self, name: str, inside: Locator | None = None) -> None:
        """Use the first link or button with this name."""
        where = inside or self.page.locator("main")
        target = where.get_by_role("link", name=name, exact=True)
        self.use(target.or_(where.get_by_role("button", name=name, exact=True)).first)

    def use(self, target: Locator) -> None:
        target.click()

    def fill(self, label: str, text: str) -> None:
        self.write(self.page.get_by_label(label).first, text)

    def write(self, field: Locator, text: str) -> None:
        field.fill(text)

    def choose(self, label: str, option: str) -> None:
        self.select(label).select_option(label=option)

    def select(self, label: str) -> Locator:
        return self.page.get_by_role("combobox", name=label, exact=True).first


class Keyboard(Hands):
    """Tab, typing and Enter, and nothing else. What has the focus must be seen."""

    def use(self, target: Locator) -> None:
        self.reach(target)
        self.page.keyboard.press("Enter")

    def write(self, field: Locator, text: str) -> None:
        self.reach(field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, label: str, option: str) -> None:
        self.reach(self.select(label))
        self.page.keyboard.type(option)

    def reach(self, target: Locator) -> None:
        expect(target).to_be_visible()
        self.page.evaluate("document.activeElement.blur()")
        for _ in range(MAX_TABS):
            self.page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                assert target.evaluate(IS_SEEN), "the focus is not seen"
                return
        raise AssertionError(f"Tab does not reach {target}")
