// What the console does beyond its pages, which all work without it: it keeps them fresh, answers
// keys, and remembers colours and time zone.
"use strict";

const LONGEST_GAP = 60_000;
const LATE_AFTER = 15_000;
const IDLE_AFTER = 3_600_000;
const root = document.documentElement;
root.classList.add("has-script");

function remember(name, value) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${encodeURIComponent(value)}; Path=/admin/; Max-Age=31536000; SameSite=Lax${secure}`;
}

function remembered(name) {
    const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(`${name}=`));
    return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

function kept(name) {
    try { return localStorage.getItem(name); } catch { return null; }
}

function keep(name, value) {
    try { localStorage.setItem(name, value); } catch { /* this browser keeps nothing */ }
}

// --- Fresh pages: the regions marked data-live are taken from the same page, fetched again ---

const refresher = {
    gap: 1000 * Number(document.body.dataset.refresh || 0),
    paused: kept("console.paused") === "yes",
    fetchedAt: Date.now(),
    touchedAt: Date.now(),
    failures: 0,
    timer: 0,
    isFetching: false,

    start() {
        const bar = document.getElementById("refresh");
        if (!this.gap || !bar) return;
        bar.hidden = false;
        this.age = bar.querySelector(".refresh-age");
        this.button = bar.querySelector("button");
        this.button.addEventListener("click", () => this.toggle());
        document.addEventListener("visibilitychange", () => this.plan(document.hidden ? null : 0));
        for (const touch of ["pointerdown", "keydown", "scroll"]) {
            document.addEventListener(touch, () => { this.touchedAt = Date.now(); }, { passive: true });
        }
        setInterval(() => this.show(), 1000);
        this.plan();
        this.show();
    },

    toggle() {
        this.paused = !this.paused;
        keep("console.paused", this.paused ? "yes" : "no");
        this.plan(this.paused ? null : 0);
        this.show();
    },

    // Fetch after the gap, or after `wait`; null: not until asked again.
    plan(wait) {
        clearTimeout(this.timer);
        if (wait === null || this.paused || document.hidden) return;
        const slow = this.failures || Date.now() - this.touchedAt > IDLE_AFTER;
        const gap = slow ? Math.min(this.gap * 2 ** Math.max(this.failures, 1), LONGEST_GAP) : this.gap;
        this.timer = setTimeout(() => this.fetch(), wait ?? gap);
    },

    async fetch() {
        if (this.isFetching) return;
        this.isFetching = true;
        const started = Date.now();
        try {
            // A list says in data-refresh-with which row came first, to be told how many are newer.
            const more = document.querySelector("[data-refresh-with]")?.dataset.refreshWith;
            const url = more ? `${location.pathname}${location.search ? `${location.search}&` : "?"}${more}` : location.href;
            const answer = await fetch(url, { headers: { "X-Console-Refresh": "1" }, cache: "no-store" });
            if (answer.redirected) return location.reload(); // signed out
            if (!answer.ok) throw new Error(String(answer.status));
            this.replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
            this.fetchedAt = Date.now();
            this.failures = 0;
        } catch {
            this.failures += 1;
        } finally {
            this.isFetching = false;
        }
        this.show();
        // A page never takes more of the server than a tenth of the time.
        this.plan(this.failures ? undefined : Math.max(this.gap, 10 * (Date.now() - started)));
        return undefined;
    },

    replace(page) {
        for (const region of document.querySelectorAll("[data-live][id]")) {
            const fresh = page.getElementById(region.id);
            if (fresh && fresh.innerHTML !== region.innerHTML && !isInUse(region)) {
                region.replaceWith(document.adoptNode(fresh));
            }
        }
        document.title = page.title;
    },

    show() {
        const seconds = Math.round((Date.now() - this.fetchedAt) / 1000);
        const isLate = !this.paused && !document.hidden && this.failures > 0 && seconds * 1000 > LATE_AFTER;
        const age = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
        // Read out only when something changes: not each second.
        this.age.parentElement.classList.toggle("is-late", isLate);
        root.classList.toggle("is-stale", isLate);
        this.age.setAttribute("role", isLate ? "status" : "none");
        this.age.textContent = isLate ? `No answer: as of ${age} ago` : this.paused ? `Paused, ${age} ago` : `${age} ago`;
        this.button.textContent = this.paused ? "Resume" : "Pause";
        this.button.title = `${this.button.textContent} refreshing (r)`;
    },
};

// Whether a person is at something in the region: focus, a selection, or a part that they opened.
function isInUse(region) {
    const selection = getSelection();
    return region.contains(document.activeElement)
        || (selection && !selection.isCollapsed && selection.containsNode(region, true))
        || region.querySelector("details[open]:not([data-open])") !== null;
}

// --- Charts: the numbers of the step under the pointer, from the chart's table ---

function readOut(event) {
    const svg = event.target.closest?.(".chart > svg");
    if (!svg) return;
    const chart = svg.parentElement;
    const rows = chart.querySelectorAll(".numbers tbody tr");
    const box = svg.getBoundingClientRect();
    // The plot's left and right edge, of 300 (jobs.admin.charts.frame).
    const share = (300 * (event.clientX - box.left) / box.width - 34) / (296 - 34);
    const row = rows[Math.floor(share * rows.length)];
    const names = [...chart.querySelectorAll(".numbers thead th")].map((head) => head.textContent);
    const words = row && [...row.cells].map((cell, at) => (at ? `${names[at]} ${cell.textContent}` : cell.textContent));
    chart.querySelector(".readout").textContent = words ? words.join(" · ") : "";
}

// --- Keys ---

function isTyping(target) {
    return target.closest("input, textarea, select, dialog, [contenteditable]") !== null;
}

function answerKey(event) {
    if (event.key === "Escape" && event.target.matches("input[data-key]")) event.target.blur();
    if (kept("console.keys") === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) return;
    const found = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
    if (!found || found.closest("[hidden]")) return;
    event.preventDefault();
    if (found.matches("input")) { found.focus(); found.select(); } else { found.click(); }
}

function part(name, text, ...inside) {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    made.append(...inside);
    return made;
}

function showKeys() {
    const list = document.createElement("dl");
    for (const one of document.querySelectorAll("[data-key]")) {
        if (one.closest("[hidden]")) continue;
        const what = one.dataset.keyName || one.getAttribute("aria-label") || one.textContent.trim();
        list.append(part("dt", "", part("kbd", one.dataset.key)), part("dd", what));
    }
    const isOn = part("input", "");
    isOn.type = "checkbox";
    isOn.checked = kept("console.keys") !== "off";
    isOn.addEventListener("change", () => keep("console.keys", isOn.checked ? "on" : "off"));
    const close = part("button", "Close");
    close.className = "button";
    const form = part("form", "", part("h2", "Keyboard"), list, part("p", "", part("label", "", isOn, " Use these keys")), close);
    form.method = "dialog";
    const dialog = part("dialog", "", form);
    dialog.setAttribute("aria-label", "Keyboard");
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
}

// --- Colours, time zone, copying ---

function nextTheme() {
    const themes = ["auto", "light", "dark"];
    const next = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    root.dataset.theme = next;
    remember("console_theme", next);
    this.querySelector("b").textContent = next;
}

function nextZone() {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    remember("console_zone", remembered("console_zone") === own ? "UTC" : own);
    location.reload();
}

async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    const text = source ? source.value ?? source.textContent : button.dataset.copy;
    try {
        await navigator.clipboard.writeText(text);
    } catch { // without https
        const field = part("textarea", text);
        document.body.append(field);
        field.select();
        document.execCommand("copy");
        field.remove();
    }
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
}

document.addEventListener("keydown", answerKey);
document.addEventListener("pointermove", readOut, { passive: true });
document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    for (const open of document.querySelectorAll("details[name=menu][open]")) {
        if (!open.contains(event.target)) open.open = false;
    }
});
document.querySelector("[data-keys]")?.addEventListener("click", showKeys);
document.querySelector("[data-theme-next]")?.addEventListener("click", nextTheme);
document.querySelector("[data-zone]")?.addEventListener("click", nextZone);
if (!remembered("console_zone")) remember("console_zone", Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
refresher.start();
