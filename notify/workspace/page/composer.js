// The message box, with completions for commands, people and channels.
import { h } from "./dom.js";
import { store, post } from "./store.js";

// makeComposer fills a form. where() says {channel, thread_ts}; fail shows an error.
export function makeComposer(form, pane, where, fail) {
  const list = h("ul", { class: "hints", role: "listbox", id: "hints-" + pane, "aria-label": "Suggestions", hidden: true });
  const box = h("textarea", {
    id: "composer-" + pane, rows: "1", "data-composer": pane, "aria-label": pane === "thread" ? "Reply" : "Message", autocomplete: "off", spellcheck: "true", maxlength: "40000",
    role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "hints-" + pane,
  });
  const send = h("button", { type: "submit", class: "send", "aria-label": "Send", title: "Send (Enter)" }, "➤");
  const help = h("p", { class: "composer-help" });
  form.replaceChildren(list, h("div", { class: "composer-box" }, box, send), help);
  let items = [], at = -1;

  const grow = () => { box.style.height = "auto"; box.style.height = Math.min(box.scrollHeight, 220) + "px"; };
  const close = () => { items = []; at = -1; list.hidden = true; box.setAttribute("aria-expanded", "false"); box.removeAttribute("aria-activedescendant"); };
  const pick = (i) => {
    at = i;
    [...list.children].forEach((li, j) => li.setAttribute("aria-selected", String(j === i)));
    if (i >= 0) { box.setAttribute("aria-activedescendant", `hint-${pane}-${i}`); list.children[i].scrollIntoView({ block: "nearest" }); }
    else box.removeAttribute("aria-activedescendant");
  };
  const take = (i) => {
    const it = items[i];
    box.value = box.value.slice(0, it.from) + it.text + box.value.slice(box.selectionStart);
    box.selectionStart = box.selectionEnd = it.from + it.text.length;
    close();
    grow();
    if (it.more) suggest();
    box.focus();
  };
  const suggest = () => {
    items = suggestions(box.value, box.selectionStart, pane === "thread");
    help.textContent = helpFor(box.value, pane);
    if (!items.length) return close();
    list.replaceChildren(...items.map((it, i) => h("li", { role: "option", id: `hint-${pane}-${i}`, "aria-selected": "false", "data-hint": it.text, pointerdown: (e) => { e.preventDefault(); take(i); } },
      h("span", { class: "hint-text" }, it.show || it.text), h("small", {}, it.says || ""))));
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    pick(-1);
  };
  const submit = async () => {
    const text = box.value;
    if (!text.trim()) return;
    close();
    box.value = "";
    help.textContent = "";
    grow();
    const slash = text.trim().startsWith("/");
    if (slash) form.classList.add("busy");
    const res = await post("post", { ...where(), text });
    form.classList.remove("busy");
    if (res.ok) return;
    if (!box.value) { box.value = text; grow(); } // give back what was not sent
    if (!res.code) fail(res.error);
  };
  box.addEventListener("input", () => { grow(); suggest(); });
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (e) => {
    if (e.isComposing) return;
    if (items.length && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
      e.preventDefault();
      pick((at + (e.key === "ArrowDown" ? 1 : -1) + items.length + (at < 0 && e.key === "ArrowUp" ? 1 : 0)) % items.length);
    } else if (items.length && (e.key === "Tab" && !e.shiftKey || e.key === "Enter" && at >= 0)) {
      e.preventDefault();
      take(Math.max(at, 0));
    } else if (items.length && e.key === "Escape") {
      e.preventDefault();
      e.stopPropagation();
      close();
    } else if (e.key === "Enter" && !e.shiftKey) {
      e.preventDefault();
      submit();
    }
  });
  form.addEventListener("submit", (e) => { e.preventDefault(); submit(); });
  return { box, clear: () => { box.value = ""; help.textContent = ""; close(); grow(); }, placeholder: (p) => { box.placeholder = p; } };
}

function helpFor(text, pane) {
  if (!text.startsWith("/")) return "";
  if (pane === "thread") return "Slash commands do not work in threads, here as in Slack. Use the channel's box, or the buttons.";
  const cmd = store.commands.find((c) => text.startsWith(c.name));
  return cmd ? cmd.description : "";
}

function suggestions(value, caret, inThread) {
  const before = value.slice(0, caret);
  if (before.startsWith("/") && !before.includes("\n")) {
    if (inThread) return [];
    const out = [];
    for (const c of store.commands) {
      if (c.name.startsWith(before) || before === "/") out.push({ from: 0, text: c.name + " ", show: c.name, says: c.description || c.usage, more: true });
      if (before.startsWith(c.name + " ")) {
        const typed = before.slice(c.name.length + 1);
        for (const hint of c.hints || []) {
          if (hint.text.startsWith(typed) && hint.text.trim() !== typed.trim()) out.push({ from: c.name.length + 1, text: hint.text, says: hint.says });
        }
      }
    }
    return out.slice(0, 10);
  }
  const m = /(^|\s)([@#])([\w.-]{0,30})$/.exec(before);
  if (!m) return [];
  const from = caret - m[3].length - 1;
  const q = m[3].toLowerCase();
  const found = m[2] === "@"
    ? [...store.users.values()].filter((u) => !u.deleted && u.name.toLowerCase().startsWith(q)).map((u) => ({ from, text: "@" + u.name + " ", show: "@" + u.name, says: u.real_name }))
    : [...store.channels.values()].filter((c) => !c.im && c.name.startsWith(q)).map((c) => ({ from, text: "#" + c.name + " ", show: "#" + c.name, says: c.topic }));
  return found.slice(0, 8);
}
