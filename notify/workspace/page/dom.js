// Building elements. Text only ever becomes text: nothing here parses HTML.

// h makes an element. Functions become listeners, true becomes an empty attribute,
// null and false leave an attribute or a child out.
export function h(tag, attrs, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") el.addEventListener(name, value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  el.append(...flat(children));
  return el;
}

function flat(children) {
  return children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false && c !== "");
}

// safeURL returns the address when it is one a link may have, or null.
export function safeURL(url) {
  try {
    const u = new URL(url);
    return ["http:", "https:", "mailto:"].includes(u.protocol) ? u.href : null;
  } catch {
    return null;
  }
}

export function link(url, label, cls) {
  const href = safeURL(url);
  if (!href) return h("span", {}, label || url);
  return h("a", { href, class: cls, target: "_blank", rel: "noopener noreferrer nofollow", title: url }, label || url);
}

export async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "offscreen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (button) {
    const was = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = was; }, 1500);
  }
}

// popup shows a list of choices below an element and resolves with the chosen one,
// or null. choices are {value, label, says, url}.
export function popup(anchor, choices, label) {
  return new Promise((resolve) => {
    document.querySelector(".menu")?.dispatchEvent(new Event("dismiss"));
    const menu = h("div", { class: "menu", role: "menu", "aria-label": label });
    let done = false;
    const finish = (choice) => {
      if (done) return;
      done = true;
      menu.remove();
      document.removeEventListener("pointerdown", outside, true);
      window.removeEventListener("resize", dismiss);
      anchor.setAttribute("aria-expanded", "false");
      if (anchor.isConnected) anchor.focus();
      resolve(choice);
    };
    const dismiss = () => finish(null);
    const outside = (e) => { if (!menu.contains(e.target)) finish(null); };
    for (const c of choices) {
      menu.append(h("button", { type: "button", role: "menuitem", class: "menu-item", "data-option": c.value, tabindex: "-1", click: () => finish(c) },
        h("span", {}, c.label), c.says && h("small", {}, c.says)));
    }
    menu.addEventListener("dismiss", dismiss);
    menu.addEventListener("keydown", (e) => {
      const items = [...menu.children];
      const at = items.indexOf(document.activeElement);
      const go = (i) => { e.preventDefault(); items[(i + items.length) % items.length].focus(); };
      if (e.key === "ArrowDown") go(at + 1);
      else if (e.key === "ArrowUp") go(at - 1);
      else if (e.key === "Home") go(0);
      else if (e.key === "End") go(items.length - 1);
      else if (e.key === "Escape" || e.key === "Tab") { e.preventDefault(); e.stopPropagation(); finish(null); }
    });
    document.body.append(menu);
    const a = anchor.getBoundingClientRect();
    const m = menu.getBoundingClientRect();
    const top = a.bottom + 4 + m.height > innerHeight ? Math.max(8, a.top - m.height - 4) : a.bottom + 4;
    menu.style.top = top + "px";
    menu.style.left = Math.max(8, Math.min(a.left, innerWidth - m.width - 8)) + "px";
    anchor.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside, true);
    window.addEventListener("resize", dismiss);
    menu.firstElementChild?.focus();
  });
}

// confirmDialog asks as a Block Kit confirm object says, and resolves with the answer.
export function confirmDialog(c, render) {
  return new Promise((resolve) => {
    const text = (o, otherwise) => (o && o.text) || otherwise;
    const danger = c.style === "danger";
    const dialog = h("dialog", { role: "dialog", "data-dialog": "confirm", class: "confirm", "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      h("h2", { id: "confirm-title" }, text(c.title, "Are you sure?")),
      h("div", { id: "confirm-text", class: "confirm-text" }, c.text ? render(c.text) : ""),
      h("div", { class: "confirm-buttons" },
        h("button", { type: "button", class: "btn", "data-dialog-deny": true, click: () => end(false) }, text(c.deny, "Cancel")),
        h("button", { type: "button", class: "btn " + (danger ? "danger" : "primary"), "data-dialog-confirm": true, click: () => end(true) }, text(c.confirm, "Yes"))));
    const end = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    dialog.addEventListener("cancel", (e) => { e.preventDefault(); end(false); });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector(danger ? "[data-dialog-deny]" : "[data-dialog-confirm]").focus();
  });
}
