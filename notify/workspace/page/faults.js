// The developer's drawer: make calls fail, and see what the app sent.
import { h } from "./dom.js";
import { store, post } from "./store.js";

const methods = ["*", "chat.postMessage", "chat.update", "chat.postEphemeral", "chat.delete", "conversations.history", "conversations.replies", "conversations.open", "users.info", "files.getUploadURLExternal", "upload", "files.completeUploadExternal", "reactions.add", "apps.connections.open", "auth.test", "response_url"];
const kinds = [["ratelimit", "429 with Retry-After"], ["server_error", "503"], ["cut_before", "connection cut, not handled"], ["cut_after", "connection cut, but handled"], ["slow", "slow"], ["refuse", "refuse with internal_error"]];
const reasons = ["warning", "refresh_requested", "too_many_websockets", "link_disabled"];

// makeDrawer fills the drawer once and returns what brings it up to date.
export function makeDrawer(el, close) {
  const say = h("p", { class: "drawer-say", role: "status" });
  const set = async (body) => { const res = await post("faults", body); say.textContent = res.ok ? "" : res.error; };
  const button = (label, body, cls) => h("button", { type: "button", class: "btn small " + (cls || ""), click: () => set(body) }, label);
  const select = (id, options) => h("select", { id }, options.map((o) => (Array.isArray(o) ? h("option", { value: o[0] }, o[1]) : h("option", { value: o }, o))));
  const method = select("fault-method", methods), kind = select("fault-kind", kinds), reason = select("fault-reason", reasons), scope = select("fault-scope", []);
  const times = h("input", { id: "fault-times", type: "number", min: "-1", max: "1000", value: "1" });
  const seconds = h("input", { id: "fault-seconds", type: "number", min: "0", max: "600", value: "5" });
  const silent = h("input", { id: "fault-silent", type: "checkbox", change: () => set({ action: "silence", on: silent.checked }) });
  const refuse = h("input", { id: "fault-refuse", type: "checkbox", change: () => set({ action: "refuse", on: refuse.checked }) });
  const active = h("ul", { class: "fault-list" });
  const sockets = h("p", { class: "drawer-note" });
  const tokens = h("p", { class: "drawer-note" });
  const calls = h("ol", { class: "calls" });
  const row = (label, control) => h("div", { class: "drawer-row" }, h("label", { for: control.id }, label), control);
  const check = (control, label) => h("div", { class: "drawer-row check" }, control, h("label", { for: control.id }, label));
  el.replaceChildren(
    h("header", { class: "pane-head" }, h("div", { class: "titles" }, h("h2", {}, "Faults & calls"), h("p", {}, "For developers: make Slack misbehave")), h("button", { type: "button", class: "icon", "aria-label": "Close the drawer", click: close }, "✕")),
    h("div", { class: "drawer-body" },
      h("h3", {}, "Next calls fail"), row("Method", method), row("How", kind), row("Times", times), row("Seconds", seconds),
      h("div", { class: "drawer-buttons" },
        h("button", { type: "button", class: "btn small primary", "data-fault-set": true, click: () => set({ action: "inject", method: method.value, kind: kind.value, times: Number(times.value), seconds: Number(seconds.value) }) }, "Set"),
        button("Clear all faults", { action: "clear" })),
      active,
      h("h3", {}, "Socket"), sockets, check(silent, "Silent: open, but no pings and no events"), check(refuse, "Refuse new connections"), row("Reason", reason),
      h("div", { class: "drawer-buttons" },
        h("button", { type: "button", class: "btn small", click: () => set({ action: "disconnect", reason: reason.value }) }, "Send disconnect"),
        button("Cut connections", { action: "drop" }), button("Lose the next ack", { action: "lose_acks", times: 1 })),
      h("h3", {}, "Tokens"), tokens, row("Scope", scope),
      h("div", { class: "drawer-buttons" },
        h("button", { type: "button", class: "btn small", click: () => set({ action: "remove_scope", token: "bot", scope: scope.value }) }, "Remove scope"),
        button("Revoke bot token", { action: "break_token", token: "bot", error: "token_revoked" }), button("Revoke app token", { action: "break_token", token: "app", error: "token_revoked" })),
      say,
      h("h3", {}, "API calls"), calls));

  const drawCall = (c) => {
    const bad = c.error || c.fault || c.status >= 400 || c.status === 0;
    const took = c.took / 1e6;
    return h("li", { class: bad ? "bad" : "", "data-call": c.method }, h("details", {},
      h("summary", {}, h("code", {}, c.method), h("span", { class: "call-status" }, c.fault ? "⚡ " + c.fault : c.error || (c.status === 200 ? "ok" : c.status)), h("small", {}, new Date(c.at).toLocaleTimeString() + (took >= 1 ? ` · ${took.toFixed(0)} ms` : ""))),
      c.details && h("p", { class: "call-details" }, c.details.join("\n")),
      h("pre", { class: "code" }, Object.entries(c.args || {}).map(([k, v]) => `${k} = ${pretty(v)}`).join("\n"))));
  };
  return {
    faults() {
      const f = store.faults;
      if (!f) return;
      silent.checked = f.silent;
      refuse.checked = f.refuse;
      sockets.textContent = `${f.sockets} open connection${f.sockets === 1 ? "" : "s"}` + (f.lose_acks ? `, ${f.lose_acks < 0 ? "all" : "next " + f.lose_acks} acks lost` : "");
      active.replaceChildren(...f.faults.map((x) => h("li", {}, `${x.method}: ${x.kind}`, x.times > 0 ? ` × ${x.times}` : " until cleared")));
      tokens.textContent = f.tokens.map((t) => `${t.kind}: ${t.broken || "works"}, ${t.scopes.length} scopes`).join(" · ");
      const bot = f.tokens.find((t) => t.kind === "bot");
      const was = scope.value;
      scope.replaceChildren(...(bot?.scopes || []).map((s) => h("option", { value: s }, s)));
      if (bot?.scopes.includes(was)) scope.value = was;
    },
    allCalls() { calls.replaceChildren(...store.calls.slice().reverse().map(drawCall)); },
    call(c) { calls.prepend(drawCall(c)); while (calls.children.length > 200) calls.lastChild.remove(); },
  };
}

function pretty(v) {
  try {
    return /^[[{]/.test(v) ? JSON.stringify(JSON.parse(v), null, 2) : v;
  } catch {
    return v;
  }
}
