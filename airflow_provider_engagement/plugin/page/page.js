// The page in Airflow. It shows figures that the application sends: plots, and tables of their numbers.
// The URL holds what is shown. Every text is set as text, never as HTML.

const METRICS = ["impressions", "engagements", "favorites", "retweets", "replies", "video_views", "media_views",
  "media_engagements", "url_clicks", "hashtag_clicks", "detail_expands", "permalink_clicks", "app_install_attempts",
  "app_opens", "email_tweet", "user_follows", "user_profile_clicks"];
const DEFAULT_METRICS = METRICS.slice(0, 5);
const OPTIONAL = new Set(["owners", "adjustments"]);
const NUMBERS = new Set(["count", "change", "percent", "number"]);
const ROWS_AT_FIRST = 200;
const DATASET_FIGURES = ["summary", "series", "coverage", "tasks", "top", "rhythm", "outcomes", "gaps", "restatements",
  "snapshots", "top_totals"];
const EMPTY = { backfills: "No backfill is open.", missing: "Nothing is missing.", gaps: "No Tweet has missing counts.",
  restatements: "No restated counts are known. Set extra_tables=[\"restatements\"] in the task to collect them.",
  pulls: "No pull has ended in the last day.",
  unfinished: "No pull is running or waiting.",
  saved: "No rate limit is saved. A pull with a dataset_path saves it at the end of each attempt." };
const UNFINISHED = new Set(["scheduled", "queued", "running", "restarting", "deferred", "up_for_reschedule",
  "up_for_retry"]);
const MILLISECONDS_UNTIL_NEXT_PROGRESS = 10_000;
const USER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const content = document.getElementById("content");
let generation = 0;

// The theme is that of Airflow, which keeps it in the storage of the browser, or else that of the system.
function theme() {
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch { /* The browser does not allow it. */ }
  if (chosen === "dark" || chosen === "light") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function parameters() { return new URLSearchParams(location.search); }

function address(changes, keep = []) {
  const query = new URLSearchParams();
  const now = parameters();
  for (const name of keep) if (now.get(name)) query.set(name, now.get(name));
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  return query.toString() ? `?${query}` : "./";
}

function go(event, url) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", url);
  show();
  content.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function link(text, url, attributes = {}) {
  return element("a", { href: url, onclick: (event) => go(event, url), ...attributes }, text);
}

async function request(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const response = await fetch(`${path}?${new URLSearchParams(given)}`, { credentials: "same-origin" });
  if (response.ok) return response.json();
  let detail = null;
  try { detail = (await response.json()).detail; } catch { /* The response is no JSON. */ }
  if (response.status === 401) detail = "You are no longer logged in. Reload Airflow.";
  if (response.status === 403 && (typeof detail !== "string" || detail === "Forbidden")) {
    detail = "You do not have permission to see this. Ask an administrator for the right to read the DAG and its XComs.";
  }
  const error = new Error(typeof detail === "string" ? detail : `Airflow answered with HTTP ${response.status}.`);
  // The same request cannot succeed later if a parameter is wrong.
  error.canSucceedLater = ![400, 422].includes(response.status);
  throw error;
}

// Values

function timeText(iso, zone) {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit",
    hour: "2-digit", minute: "2-digit" });
  return format.format(new Date(iso));
}

function utcText(iso) { return `${timeText(iso, "UTC")} UTC`; }

function timeElement(iso, zone = USER_ZONE) {
  return element("time", { datetime: iso, title: utcText(iso) }, timeText(iso, zone));
}

function shown(value, kind) {
  if (value === null || value === undefined) return "–";
  if (kind === "count") return Number(value).toLocaleString("en-US");
  if (kind === "change") return Number(value).toLocaleString("en-US", { signDisplay: "exceptZero" });
  if (kind === "percent") {
    return `${Number(value).toLocaleString("en-US", { signDisplay: "exceptZero", maximumFractionDigits: 1 })} %`;
  }
  if (kind === "number") return Number(value).toLocaleString("en-US", { maximumFractionDigits: 1 });
  return String(value);
}

function cell(value, column, zone) {
  const attributes = { class: NUMBERS.has(column.kind) ? "number" : column.name === "path" ? "path" : null };
  if (value !== null && column.kind === "time") {
    return element("td", attributes, timeElement(value, zone));
  }
  if (value !== null && column.kind === "link" && /^https:\/\//.test(value)) {
    return element("td", attributes, element("a", { href: value, target: "_blank", rel: "noopener noreferrer" }, value));
  }
  return element("td", attributes, shown(value, column.kind));
}

function table(figure, limit) {
  const heading = figure.columns.map((column) =>
    element("th", { scope: "col", class: NUMBERS.has(column.kind) ? "number" : null }, column.title));
  const rows = figure.rows.slice(0, limit).map((row) =>
    element("tr", {}, ...row.map((value, index) => cell(value, figure.columns[index], figure.zone))));
  return element("table", {}, element("caption", { class: "skip" }, figure.title),
    element("thead", {}, element("tr", {}, ...heading)), element("tbody", {}, ...rows));
}

// Figures

let vega = null;

function loadVega() {
  vega ??= new Promise((resolve, reject) => {
    const script = element("script", { src: "vega.js" });
    script.addEventListener("load", () => resolve(window.vegaEmbed));
    script.addEventListener("error", () => {
      vega = null;
      reject(new Error("The plots cannot be drawn. Install airflow-provider-engagement[report] on the API server."));
    });
    document.head.append(script);
  });
  return vega;
}

function plotConfig() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = { labelColor: color("--muted"), titleColor: color("--muted"), gridColor: color("--line"),
    domainColor: color("--line"), tickColor: color("--line") };
  return { background: "transparent", font: getComputedStyle(document.body).fontFamily, view: { stroke: null }, axis,
    legend: { labelColor: color("--muted"), titleColor: color("--muted") } };
}

async function draw(place, spec) {
  const embed = await loadVega();
  await embed(place, { ...spec, width: "container" },
    { actions: false, renderer: "svg", ast: true, logLevel: 1, config: plotConfig(),
      tooltip: { theme: theme() === "dark" ? "dark" : "light" } });
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", spec.description || "plot");
}

function cards(figure) {
  const names = figure.columns.map((column) => column.name);
  const items = figure.rows.map((row) => {
    const record = Object.fromEntries(names.map((name, index) => [name, row[index]]));
    const change = record.change_percent === null ? "no comparison"
      : `${shown(record.change_percent, "percent")} from the previous interval`;
    return element("li", {}, element("span", { class: "name" }, record.metric.replaceAll("_", " ")),
      element("span", { class: "value" }, shown(record.sum, "count")), element("span", { class: "change" }, change));
  });
  return element("ul", { class: "cards" }, ...items);
}

async function fill(section, figure, csv) {
  const body = [element("h2", {}, figure.title), element("p", { class: "text" }, figure.text)];
  const places = figure.plots.map(() => element("div", { class: "plot" }));
  if (!figure.rows.length) {
    const text = EMPTY[figure.name] ?? "There is nothing to show. Choose another interval or other Tweets, or run a pull.";
    body.push(element("p", { class: "empty" }, text));
  } else {
    if (figure.name === "summary") body.push(cards(figure));
    body.push(...places);
    for (const note of figure.notes) body.push(element("p", { class: "note" }, note));
    const holder = element("div", { class: "table", tabindex: "0", role: "region", "aria-label": figure.title },
      table(figure, ROWS_AT_FIRST));
    const all = figure.rows.length > ROWS_AT_FIRST ? element("button", { type: "button", onclick: (event) => {
      holder.replaceChildren(table(figure, figure.rows.length));
      event.target.remove();
    } }, `Show all ${figure.rows.length.toLocaleString("en-US")} rows`) : null;
    const rows = `Table (${figure.rows.length.toLocaleString("en-US")} row${figure.rows.length === 1 ? "" : "s"})`;
    body.push(element("details", { open: !figure.plots.length && figure.name !== "summary" },
      element("summary", {}, rows), holder,
      element("p", { class: "actions" }, element("a", { href: csv, download: `${figure.name}.csv` }, "Download as CSV"),
        all)));
  }
  section.replaceChildren(...body);
  if (!figure.rows.length) return;
  await Promise.all(figure.plots.map((spec, index) => draw(places[index], spec).catch((error) =>
    places[index].replaceChildren(element("p", { class: "error", role: "alert" }, error.message)))));
}

function errorElement(error, again) {
  const message = element("p", { class: "error", role: "alert" }, error.message);
  return error.canSucceedLater === false ? message
    : element("div", {}, message, element("button", { type: "button", onclick: again }, "Try again"));
}

function figureSection(name, path, query, isOptional = false) {
  const section = element("section", { id: name, "aria-busy": "true" }, element("p", { class: "text" }, "Loading …"));
  const mine = generation;
  const load = async () => {
    section.setAttribute("aria-busy", "true");
    try {
      const figure = await request(path, query);
      if (mine !== generation) return;
      if (isOptional && !figure.rows.length) {
        section.remove();
        return;
      }
      await fill(section, figure, `${path}?${new URLSearchParams({ ...query, form: "csv" })}`);
    } catch (error) {
      section.replaceChildren(element("h2", {}, name.replaceAll("_", " ")), errorElement(error, load));
    } finally {
      section.setAttribute("aria-busy", "false");
    }
  };
  load();
  return section;
}

function given(query) {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== null && value !== undefined
    && value !== ""));
}

// Views

function setViews(current) {
  const views = [["datasets", "Datasets", "./"], ["rate_limit", "Rate limit", "?view=rate_limit"]];
  if (current === "pull") views.unshift(["pull", "This task", location.search]);
  document.getElementById("views").replaceChildren(...views.map(([name, text, url]) =>
    link(text, url, { "aria-current": name === current ? "page" : null })));
  // Airflow's own address bar does not show the filters.
  document.getElementById("here").replaceChildren(self === top ? ""
    : element("a", { href: location.href, target: "_top" }, "Link to this view"));
}

async function showDatasets() {
  setViews("datasets");
  const { datasets, more } = await request("data/datasets");
  if (!datasets.length) {
    content.replaceChildren(element("p", { class: "empty" }, "No task of a DAG that you can read has written a dataset. "
      + "Run a DAG with one of the Engagement operators and a dataset_path. A dataset is listed after its first "
      + "complete pull."));
    return;
  }
  const rows = datasets.map((dataset) => element("tr", {},
    element("td", {}, link(dataset.folder, address({ dag_id: dataset.dag_id, dataset: dataset.dataset }))),
    element("td", {}, dataset.dag_id), element("td", {}, dataset.tasks.join(", ")),
    element("td", { class: "number" }, shown(dataset.pulls, "count")),
    element("td", {}, timeElement(dataset.written_at))));
  content.replaceChildren(element("h2", {}, "Datasets"),
    element("p", { class: "text" }, "The datasets that tasks of your DAGs have written, "
      + "newest first. DAGs that write to one folder share its dataset."),
    element("div", { class: "table whole", tabindex: "0", role: "region", "aria-label": "Datasets" },
      element("table", {}, element("thead", {}, element("tr", {},
        ...["Dataset", "DAG", "Tasks", "Pulls", "Last written"].map((text) =>
          element("th", { scope: "col", class: text === "Pulls" ? "number" : null }, text)))),
      element("tbody", {}, ...rows))),
    ...(more ? [element("p", { class: "note" }, `${shown(more, "count")} older datasets are not listed.`)] : []));
}

function datasetQuery() {
  const query = parameters();
  return given({ start: query.get("start"), end: query.get("end"), metrics: query.get("metrics"),
    granularity: query.get("granularity"), tweet_ids: query.get("tweet_ids"), zone: query.get("zone") || USER_ZONE });
}

function filters(selected) {
  const query = parameters();
  const field = (name, label, attributes) =>
    element("label", {}, label, element("input", { name, value: query.get(name) || "", ...attributes }));
  const chosen = query.get("metrics") ? query.get("metrics").split(",") : DEFAULT_METRICS;
  const boxes = METRICS.map((metric) => element("label", {}, element("input", { type: "checkbox", name: "metric",
    value: metric, checked: chosen.includes(metric) }), metric.replaceAll("_", " ")));
  const option = (value, text, current) => element("option", { value, selected: value === current }, text);
  const zone = query.get("zone") || USER_ZONE;
  const zones = [...new Set([USER_ZONE, "UTC", zone])];
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const metrics = form.getAll("metric");
    const isDefault = metrics.length === DEFAULT_METRICS.length && metrics.every((name) => DEFAULT_METRICS.includes(name));
    const changes = { start: form.get("start"), end: form.get("end"), granularity: form.get("granularity"),
      tweet_ids: form.get("tweet_ids"), metrics: isDefault ? "" : metrics.join(","),
      zone: form.get("zone") === USER_ZONE ? "" : form.get("zone") };
    history.pushState(null, "", address(changes, ["dag_id", "dataset"]));
    show();
  };
  return element("form", { id: "filters", "aria-label": "What to show", onsubmit: submit },
    field("start", "From (UTC)", { type: "date" }), field("end", "To, not included (UTC)", { type: "date" }),
    element("label", {}, "Periods", element("select", { name: "granularity" }, option("", "automatic", ""),
      option("hour", "hours", query.get("granularity")), option("day", "days", query.get("granularity")))),
    element("label", {}, "Time zone", element("select", { name: "zone" }, ...zones.map((name) => option(name, name, zone)))),
    field("tweet_ids", "Tweets (ids, all if empty)", { type: "text", inputmode: "numeric", size: "28" }),
    element("fieldset", {}, element("legend", {}, "Metrics"), element("div", {}, ...boxes)),
    element("button", { class: "primary", type: "submit" }, "Show"), selected);
}

async function showDataset(dagId, dataset) {
  setViews("datasets");
  const path = `data/dags/${encodeURIComponent(dagId)}/datasets/${encodeURIComponent(dataset)}`;
  const query = datasetQuery();
  const selected = element("span", { class: "text", id: "selected" });
  const title = element("p", { class: "text" }, `Dataset of the DAG ${dagId}`);
  const figures = element("div", { class: "figures" }, element("p", { class: "text", role: "status" }, "Loading …"));
  content.replaceChildren(title, filters(selected), figures);
  const mine = generation;
  let first;
  try {
    first = await request(`${path}/series`, query);
  } catch (error) {
    // Each figure would fail for the same reason.
    if (mine === generation) figures.replaceChildren(errorElement(error, show));
    return;
  }
  if (mine !== generation) return;
  const { start, end, zone, folder } = first.shown;
  title.textContent = `${folder}, a dataset of the DAG ${dagId}. The figures show the rows of all DAGs that write to it.`;
  selected.textContent = `Shown: ${timeText(start, zone)} to ${timeText(end, zone)}, ${zone}`;
  selected.title = `${utcText(start)} to ${utcText(end)}`;
  figures.replaceChildren(...DATASET_FIGURES.map((name) => figureSection(name, `${path}/${name}`, query)));
}

// A wait can be shorter than a minute, so these times have seconds.
function clockElement(iso) {
  return element("time", { datetime: iso, title: utcText(iso) },
    new Intl.DateTimeFormat("sv-SE", { timeZone: USER_ZONE, dateStyle: "short", timeStyle: "medium" }).format(new Date(iso)));
}

function progressSection(progress) {
  const waits = progress.waits_until
    ? element("p", {}, "The task waits for the rate limit until ", clockElement(progress.waits_until), ".") : null;
  return element("section", { id: "progress" }, element("h2", {}, "Progress"),
    element("progress", { max: "1", value: String(progress.share), "aria-label": "Share of the requests that are done" }),
    element("p", {}, progress.text), waits,
    element("p", { class: "text" }, "As of ", clockElement(progress.recorded_at), "."));
}

function textWithoutManifest({ state, operator, progress, report }) {
  if (!report && !/^Engagement/.test(operator || "")) return "This task is not a pull of the Engagement operators.";
  if (state === "success") return "This task has no manifest of a pull. What it returned is in its XCom.";
  if (state === "failed") return "The task failed. The reason is in its log.";
  if (!UNFINISHED.has(state)) return `The task has pulled nothing. Its state is ${(state || "none").replaceAll("_", " ")}.`;
  const begun = ["running", "deferred", "up_for_reschedule"].includes(state);
  return (begun ? "The task has not ended. Its results appear here when it ends."
    : "The task has not begun, or will run again. Its results appear here when it ends.")
    + (progress || !begun ? "" : " Its progress is in its log.");
}

function showPullWithoutManifest(title, path, instance, pull) {
  const place = element("div", { role: "status" });
  const fillPlace = (now) => place.replaceChildren(element("p", { class: "empty" }, textWithoutManifest(now)),
    ...(now.progress && now.state !== "success" ? [progressSection(now.progress)] : []));
  fillPlace(pull);
  const dagId = parameters().get("dag_id");
  content.replaceChildren(title, place, pull.report
    ? element("p", {}, element("a", { href: `report${address({ dag_id: dagId, ...instance })}` }, "Open the report"))
    : element("div", { class: "figures" },
      figureSection("history", `${path}/history`, { ...instance, zone: USER_ZONE }, true)));
  const mine = generation;
  const look = async () => {
    if (mine !== generation) return;
    try {
      const now = await request(path, instance);
      if (mine !== generation) return;
      if (now.manifest || !UNFINISHED.has(now.state)) {
        show();
        return;
      }
      fillPlace(now);
    } catch { /* The next look can succeed. */ }
    setTimeout(look, MILLISECONDS_UNTIL_NEXT_PROGRESS);
  };
  if (UNFINISHED.has(pull.state)) setTimeout(look, MILLISECONDS_UNTIL_NEXT_PROGRESS);
}

async function showPull(query) {
  setViews("pull");
  const dagId = query.get("dag_id");
  const mapIndex = Number.parseInt(query.get("map_index") ?? "-1", 10);
  const instance = { run_id: query.get("run_id"), task_id: query.get("task_id"),
    map_index: Number.isNaN(mapIndex) ? -1 : mapIndex };
  const path = `data/dags/${encodeURIComponent(dagId)}/pull`;
  const pull = await request(path, instance);
  const mapped = instance.map_index < 0 ? "" : ` [${instance.map_index}]`;
  const title = element("h2", {}, `${dagId}, ${instance.task_id}${mapped}`);
  if (!pull.manifest) {
    showPullWithoutManifest(title, path, instance, pull);
    return;
  }
  const { manifest } = pull;
  const what = manifest.interval
    ? [timeElement(manifest.interval[0]), " to ", timeElement(manifest.interval[1]), ` (${USER_ZONE})`]
    : manifest.snapshot_at ? ["snapshot of ", timeElement(manifest.snapshot_at), ` (${USER_ZONE})`] : ["the last 28 hours"];
  const items = [["Endpoint", manifest.endpoint], ["Credentials", manifest.auth],
    ["Tweets", `${shown(manifest.complete, "count")} of ${shown(manifest.requested, "count")} complete`],
    ["Requests sent", shown(manifest.requests.sent, "count")]];
  const summary = element("ul", { class: "cards" }, ...items.map(([name, value]) =>
    element("li", {}, element("span", { class: "name" }, name), element("span", { class: "value" }, value))));
  const zone = USER_ZONE;
  const sections = ["missing", "owners", "requests", "history", "outputs", "adjustments"].map((name) =>
    [name, `${path}/${name}`, { ...instance, zone }]);
  if (pull.dataset) {
    const names = manifest.endpoint === "totals" ? ["top_totals", "snapshots"] : ["series", "top"];
    sections.splice(2, 0, ...names.map((name) => [name, `${path}/${name}`, { ...instance, zone }]));
    sections.push(["tweets", `${path}/tweets`, { ...instance, zone }]);
  }
  content.replaceChildren(title, element("p", { class: "text" }, `${instance.run_id}: `, ...what), summary,
    pull.dataset ? element("p", {}, link("Show the whole dataset", address({ dag_id: dagId, dataset: pull.dataset })))
      : null,
    element("div", { class: "figures" }, ...sections.map(([name, url, of]) =>
      figureSection(name, url, of, OPTIONAL.has(name)))));
}

function showRateLimit() {
  setViews("rate_limit");
  const names = ["unfinished", "use", "saved", "pulls", "backfills"];
  content.replaceChildren(element("div", { class: "figures" }, ...names.map((name) =>
    figureSection(name, `data/rate_limit/${name}`, { zone: USER_ZONE }))));
}

async function show() {
  generation += 1;
  document.documentElement.dataset.theme = theme();
  const query = parameters();
  content.replaceChildren(element("p", { class: "text", role: "status" }, "Loading …"));
  try {
    if (query.get("task_id") && query.get("dag_id")) await showPull(query);
    else if (query.get("dataset") && query.get("dag_id")) await showDataset(query.get("dag_id"), query.get("dataset"));
    else if (query.get("view") === "rate_limit") showRateLimit();
    else await showDatasets();
  } catch (error) {
    content.replaceChildren(errorElement(error, show));
  }
}

addEventListener("popstate", show);
addEventListener("storage", (event) => { if (event.key === "theme") show(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
show();
