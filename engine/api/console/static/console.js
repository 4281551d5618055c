// Comfort for the console's pages: dialogs, charts, keys, live state. Every page shows without it.
"use strict";

(() => {
  const root = document.documentElement;
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

  // The reader's time zone, for the server to write instants in. The first page is drawn again with it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && root.dataset.zone !== zone) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `muster_zone=${zone}; Path=/console; Max-Age=31536000; SameSite=Lax${secure}`;
    if (document.cookie.includes("muster_zone=") && root.dataset.zone === "" && $(".frame")) location.reload();
  }

  // Dialogs: a link with data-dialog is fetched into one; its form posts from there.
  const dialog = $("#dialog");
  let opener = null;
  const closeDialog = () => { if (dialog && dialog.open) dialog.close(); };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (link && dialog && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      opener = link;
      htmx.ajax("GET", link.getAttribute("href"), { target: "#dialog-body", swap: "innerHTML" });
    }
    if (event.target.closest("[data-close]") && dialog && dialog.open) {
      event.preventDefault();
      closeDialog();
    }
    if (event.target === dialog) closeDialog();
    const copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.textContent = copy.dataset.done; });
    }
    const toggle = event.target.closest(".menu-toggle");
    if (toggle) {
      event.preventDefault();
      const open = $(".side .menu").classList.toggle("open");
      toggle.setAttribute("aria-expanded", String(open));
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "dialog-body" || !dialog) return;
    if (!dialog.open) dialog.showModal();
    const title = $("h1", dialog);
    if (title) { title.id = "dialog-title"; dialog.setAttribute("aria-labelledby", "dialog-title"); }
    ($("[autofocus]", dialog) || $("input:not([type=hidden]), textarea, select", dialog) || $(".buttons button", dialog) || dialog).focus();
  });
  if (dialog) dialog.addEventListener("close", () => { if (opener) opener.focus(); });

  // Forms that filter are sent when something is chosen.
  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-autosubmit]") && event.target.matches("select, input[type=checkbox], input[type=radio]")) {
      event.target.form.requestSubmit();
    }
  });
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (button && event.target.method === "post") setTimeout(() => { button.disabled = true; }, 0);
  });
  window.addEventListener("pageshow", () => $$("form button[disabled]").forEach((button) => { button.disabled = false; }));
  document.addEventListener("htmx:afterRequest", () => $$("dialog form button[disabled]").forEach((button) => { button.disabled = false; }));

  // A file is sent as it is, whatever its size; what comes back is the result. Its columns are listed to be renamed.
  const TYPES = { csv: "text/csv", ndjson: "application/x-ndjson", jsonl: "application/x-ndjson", xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" };
  const typeOf = (file) => TYPES[file.name.split(".").pop().toLowerCase()] || "text/csv";
  const made = (tag, more = {}) => Object.assign(document.createElement(tag), more);
  const cells = (line) => {
    const mark = [",", ";", "\t", "|"].reduce((best, one) => (line.split(one).length > line.split(best).length ? one : best), ",");
    return line.split(mark).map((cell) => cell.trim().replace(/^\ufeff?"|"$/g, ""));
  };
  document.addEventListener("change", (event) => {
    const mapping = $("#mapping");
    const file = event.target.id === "file" && event.target.files[0];
    if (!file || !mapping) return;
    mapping.hidden = true;
    if (typeOf(file) !== "text/csv") return;
    file.slice(0, 65536).text().then((text) => {
      const lines = text.split(/\r?\n/);
      const names = cells(lines[0] || "").slice(0, 200);
      const first = cells(lines[1] || "");
      $("#columns").replaceChildren(...names.map((name) => made("option", { value: name })));
      $("tbody", mapping).replaceChildren(...names.map((name, index) => {
        const row = made("tr");
        const given = made("input", { type: "hidden", name: "column", value: name });
        const attribute = made("input", { name: "attribute", value: name, maxLength: 255 });
        attribute.setAttribute("aria-label", `${mapping.dataset.label} ${name}`);
        row.append(made("td", { className: "main", textContent: name }), made("td", { className: "main muted wide", textContent: first[index] || "" }), made("td"));
        row.lastChild.append(given, attribute);
        return row;
      }));
      mapping.hidden = false;
    });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-import]");
    if (!form) return;
    event.preventDefault();
    const file = $("input[type=file]", form).files[0];
    const query = new URLSearchParams([...new FormData(form)].filter(([name, value]) => typeof value === "string" && (value || name === "attribute")));
    if (form.dataset.name && file) query.set(form.dataset.name, file.name);
    const result = $("#imported");
    result.textContent = form.dataset.working;
    fetch(`${form.dataset.import}?${query}`, { method: "POST", body: file, headers: { "content-type": typeOf(file), "x-csrf-token": form.dataset.token, "hx-request": "true" } })
      .then((answer) => answer.text())
      .then((text) => { result.innerHTML = text; })
      .catch((error) => { result.textContent = String(error); });
  });

  // Writing a message: what is offered goes to the cursor; a picture is kept first, and its address goes there.
  const insert = (field, text) => {
    const start = field.selectionStart;
    field.setRangeText(text, start, field.selectionEnd, "end");
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  document.addEventListener("click", (event) => {
    const offered = event.target.closest("[data-insert]");
    if (offered) insert($(`#${offered.dataset.into}`), offered.dataset.insert);
    const filling = event.target.closest("[data-fill]");
    if (filling) {
      const field = $(filling.dataset.fill);
      field.value = filling.dataset.value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });
  document.addEventListener("change", (event) => {
    const chosen = event.target.closest("input[data-picture]");
    const file = chosen && chosen.files[0];
    if (!file) return;
    event.stopPropagation();
    const said = $(`#${chosen.id}-said`);
    const token = chosen.closest("form").dataset.token;
    fetch(`${chosen.dataset.picture}?${new URLSearchParams({ name: file.name })}`, { method: "POST", body: file, headers: { "x-csrf-token": token, "hx-request": "true" } })
      .then((answer) => (answer.headers.get("content-type") || "").includes("json") ? answer.json() : answer.text().then((error) => ({ error: new DOMParser().parseFromString(error, "text/html").body.textContent })))
      .then(({ url, error }) => {
        said.textContent = error || "";
        chosen.value = "";
        if (url) insert($(`#${chosen.dataset.into}`), `<img src="${url}" alt="" width="560">`);
      })
      .catch((error) => { said.textContent = String(error); });
  }, true);
  // What was removed took the focus with it.
  document.addEventListener("htmx:afterSettle", () => {
    if (document.activeElement === document.body && $("#draft")) $("#add-message").focus({ preventScroll: true });
  });

  // Whether the stream of a page is open.
  const live = (state) => $$(".live").forEach((sign) => {
    sign.dataset.state = state;
    sign.textContent = sign.dataset[state] || "";
  });
  document.addEventListener("htmx:sseOpen", () => live("on"));
  document.addEventListener("htmx:sseError", () => live("off"));

  // Charts: an element with data-chart names the element that holds the points, which the stream may replace.
  const resolved = (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const charts = new Map();
  const compact = new Intl.NumberFormat(root.lang, { notation: "compact", maximumFractionDigits: 1 });
  function points(box) {
    const holder = $(`#${box.dataset.chart} [data-points]`) || $(`#${box.dataset.chart}[data-points]`);
    return holder ? JSON.parse(holder.dataset.points) : [[], []];
  }
  function draw(box) {
    const data = points(box);
    const known = charts.get(box);
    if (known) { known.setData(data); return; }
    if (!window.uPlot || data[0].length < 2) return;
    const panel = box.closest("[data-chart-panel]");
    if (panel) panel.hidden = false;
    const bars = box.dataset.kind === "bars";
    const grid = { stroke: resolved("--line"), width: 1 };
    const axis = { stroke: resolved("--muted"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const names = JSON.parse(box.dataset.names);
    const colours = ["--busy-fill", "--good-fill", "--bad-fill"];
    box.textContent = "";
    const chart = new uPlot({
      width: box.clientWidth,
      height: Number(box.dataset.height || 170),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), root.dataset.zone || zone),
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      legend: { live: true },
      scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.08] } },
      axes: [axis, { ...axis, size: 46, values: (_, values) => values.map((value) => compact.format(value)) }],
      series: [
        { label: box.dataset.x || "" },
        ...names.map((label, index) => ({
          label,
          stroke: resolved(colours[index]),
          width: bars ? 0 : 1.75,
          fill: bars ? resolved(colours[index]) : (index ? undefined : resolved("--accent-soft")),
          points: { show: false },
          paths: bars ? uPlot.paths.bars({ size: [0.7, 60] }) : undefined,
          value: (_, value) => (value === null ? "–" : compact.format(value)),
        })),
      ],
    }, data, box);
    charts.set(box, chart);
    new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: chart.height })).observe(box);
  }
  const drawAll = () => $$("[data-chart]").forEach(draw);
  drawAll();
  document.addEventListener("htmx:sseMessage", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    charts.forEach((chart, box) => { chart.destroy(); charts.delete(box); });
    drawAll();
  });

  // Keys: g and a letter goes somewhere, / searches, ? shows the list.
  let waiting = 0;
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (dialog && dialog.open) return;
    if (event.key === "g") { waiting = Date.now(); return; }
    if (Date.now() - waiting < 1500) {
      const link = $(`[data-key="${CSS.escape(event.key)}"]`);
      waiting = 0;
      if (link) { event.preventDefault(); location.assign(link.href); return; }
    }
    if (event.key === "/") {
      const search = $("main input[type=search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key === "?") {
      const help = $("a[data-help]");
      if (help) { event.preventDefault(); help.click(); }
    }
  });
})();
