"use strict";
// The gallery, a face's details and the charts of a report. Draws from the JSON in #data; sets text and
// attributes only, never markup, for names come from evidence.
(() => {
  const D = JSON.parse(document.getElementById("data").textContent);
  const F = D.faces, T = D.t, N = F.id.length, C = D.classes.length;
  const UNCERTAIN = "uncertain";
  const reviews = new Map(Object.entries(D.reviews).map(([id, r]) => [Number(id), r]));
  const $ = id => document.getElementById(id);
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // ---- small helpers ------------------------------------------------------------------------------
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  // The same with nodes: names of files stand each by itself, for some are written from right to left.
  const filled = (text, values) => text.split(/\{(\w+)\}/).flatMap((part, k) => k % 2 ? values[part] : part);
  const named = name => make("bdi", {}, name);
  const among = (nodes, between) => nodes.flatMap((node, k) => k ? [between, node] : [node]);
  function make(tag, attributes = {}, ...children) {
    const svg = ["svg", "rect", "circle", "line", "path", "text"].includes(tag);
    const node = svg || attributes.svg
      ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "svg" || value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  const plain = text => text.normalize("NFC").toLowerCase();  // an accent may be a character of its own
  const three = thousandths => (thousandths / 1000).toFixed(3);
  const percent = share => (share * 100).toFixed(1) + "\u00a0%";
  function clock(seconds) {
    const ms = Math.round(Math.abs(seconds) * 1000), pad = (n, d) => String(n).padStart(d, "0");
    const whole = Math.floor(ms / 1000);
    return (seconds < 0 ? "-" : "") + Math.floor(whole / 3600) + ":" + pad(Math.floor(whole / 60) % 60, 2) +
      ":" + pad(whole % 60, 2) + "." + pad(ms % 1000, 3);
  }
  let lines = null;  // of #pictures; split when the first picture is asked for
  function picture(i) {
    if (F.picture[i] < 0) return null;
    lines ??= $("pictures").textContent.split("\n");
    const [jpeg, region, marks] = lines[F.picture[i]].split("|");
    return {src: "data:image/jpeg;base64," + jpeg, region: region ? region.split(",").map(Number) : null, marks};
  }
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  function points(marks) {  // as shares of the shown part
    const found = [];
    for (let k = 0; k < marks.length; k += 4) {
      const at = j => (DIGITS.indexOf(marks[j]) * 64 + DIGITS.indexOf(marks[j + 1])) / 4095 * 1.5 - 0.25;
      found.push([at(k), at(k + 2)]);
    }
    return found;
  }
  const file = i => D.files[F.file[i]];
  const topClass = i => D.classes[F.top[i]];
  const label = i => F.sure[i] ? topClass(i) : UNCERTAIN;
  const score = i => F.p[i * C + F.top[i]];
  const answer = i => F.sure[i] ? `${topClass(i)} ${three(score(i))}` : UNCERTAIN;
  const faults = i => D.faults.filter((_, k) => F.faults[i] >> k & 1);
  const when = i => F.seconds[i] !== null ? clock(F.seconds[i])
    : file(i).kind === "video" ? fill(T.frame, {n: F.frame[i]})
    : F.frame[i] || file(i).paged ? fill(T.page, {n: F.frame[i] + 1}) : T.still;
  const box = i => { const [left, top, right, bottom] = F.box.slice(i * 4, i * 4 + 4); return {left, top, right, bottom}; };
  const trackKey = i => F.track[i] === null ? null : F.file[i] + "/" + F.track[i];
  const indexOf = new Map(F.id.map((id, i) => [id, i]));
  const text = Object.fromEntries(Object.entries(D.files).map(([k, f]) =>
    [k, plain([f.name, ...f.copies].join(" "))]));

  // ---- what is asked for: the state, kept in the address --------------------------------------------
  const DEFAULTS = {label: "", class: "", file: "", quality: "", track: "", review: "", q: "", min: "0",
    px: "0", from: "", to: "", sort: "order", blur: "", face: ""};
  const controls = {}, titles = {};
  let state = {...DEFAULTS}, shown = [], current = 0, labelled = new Map();
  function readAddress() {
    const hash = location.hash.slice(1);
    if (!hash.includes("=")) return false;
    const given = new URLSearchParams(hash);
    state = everything();
    for (const name of Object.keys(DEFAULTS)) if (given.has(name) && offered(name, given.get(name))) state[name] = given.get(name);
    return true;
  }
  const everything = () => ({...DEFAULTS, blur: state.blur});  // who blurs pictures does not want one that is not
  function offered(name, value) {  // tracks are those of a file, and offered when it is chosen
    const node = controls[name];
    return name === "track" || node?.tagName !== "SELECT" || [...node.options].some(option => option.value === value);
  }
  function writeAddress() {
    const kept = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
    const hash = kept.length ? "#" + new URLSearchParams(kept) : "#faces=";
    if (kept.length || location.hash.includes("=")) history.replaceState(null, "", hash);
  }
  function meets(i) {  // all that is asked for but the label
    const s = state;
    if (s.class && topClass(i) !== s.class) return false;
    if (s.file && String(F.file[i]) !== s.file) return false;
    if (s.track && trackKey(i) !== s.track) return false;
    if (s.quality === "unjudged" && F.faults[i] !== null) return false;
    if (s.quality === "good" && F.faults[i] !== 0) return false;  // null: not judged
    if (s.quality === "poor" && !F.faults[i]) return false;
    if (D.faults.includes(s.quality) && !(F.faults[i] >> D.faults.indexOf(s.quality) & 1)) return false;
    const said = reviews.get(F.id[i]);
    if (s.review === "reviewed" && !said) return false;
    if (s.review === "unreviewed" && said) return false;
    if (["confirmed", "rejected", "relabelled"].includes(s.review) && said?.[0] !== s.review) return false;
    if (score(i) < Number(s.min) * 1000) return false;
    if (Number(s.px) > 0 && !(F.size[i] >= Number(s.px))) return false;
    if (s.from !== "" && !(F.seconds[i] !== null && F.seconds[i] >= Number(s.from))) return false;
    if (s.to !== "" && !(F.seconds[i] !== null && F.seconds[i] <= Number(s.to))) return false;
    if (s.q) {
      const words = text[F.file[i]] + " " + label(i) + " " + topClass(i) + " " + (said ? plain(said.slice(1, 4).join(" ")) : "");
      if (!plain(s.q).split(/\s+/).every(word => words.includes(word))) return false;
    }
    return true;
  }
  const ORDERS = {
    score: (a, b) => score(b) - score(a), low: (a, b) => score(a) - score(b),
    size: (a, b) => (F.size[b] ?? 0) - (F.size[a] ?? 0),
    time: (a, b) => (F.seconds[a] ?? -1) - (F.seconds[b] ?? -1),
    detector: (a, b) => F.score[b] - F.score[a],
  };
  function filter() {
    shown = [];
    labelled = new Map();
    for (let i = 0; i < N; i++) {
      if (!meets(i)) continue;
      labelled.set(label(i), (labelled.get(label(i)) ?? 0) + 1);
      if (!state.label || label(i) === state.label) shown.push(i);
    }
    if (ORDERS[state.sort]) shown.sort((a, b) => ORDERS[state.sort](a, b) || a - b);
    current = Math.min(current, Math.max(0, shown.length - 1));
  }

  // ---- the filters ----------------------------------------------------------------------------------
  function control(name, title, node) {
    node.id = "filter-" + name;
    controls[name] = node;
    titles[name] = title;
    node.addEventListener(node.type === "search" || node.type === "range" || node.type === "number" ? "input" : "change", () => {
      state[name] = node.type === "checkbox" ? (node.checked ? "1" : "") : node.value;
      state.face = "";
      if (name === "file" && state.file && trackFile() !== state.file) state.track = "";  // no face is in both
      apply();
    });
    return make("div", {class: "field field-" + name}, make("label", {for: node.id}, title), node);
  }
  const select = options => make("select", {}, options.map(([value, name]) => make("option", {value}, name)));
  function buildFilters() {
    const files = Object.entries(D.files);
    const place = $("filters");
    place.append(
      control("q", T.search, make("input", {type: "search", autocomplete: "off", spellcheck: "false"})),
      control("label", T.label, select([["", T.any_label], ...[...D.classes, UNCERTAIN].map(c => [c, c])])),
      control("class", T.class, select([["", T.any_class], ...D.classes.map(c => [c, c])])),
      control("min", T.least_score, make("input", {type: "range", min: 0, max: 1, step: 0.05})),
      control("quality", T.quality, select([["", T.any_quality], ["good", T.good], ["poor", T.poor], ...(F.faults.includes(null) ? [["unjudged", T.unjudged]] : []), ...D.faults.map(f => [f, f])])),
      control("file", T.file, select([["", T.any_file], ...files.map(([id, f]) => [id, f.name])])),
      control("track", T.track, select([["", T.any_track]])),
      control("from", T.from, make("input", {type: "number", step: "any", min: 0})),
      control("to", T.to, make("input", {type: "number", step: "any", min: 0})),
      control("px", T.least_size, make("input", {type: "number", min: 0, step: 8})),
      control("review", T.review, select([["", T.any_review], ["reviewed", T.reviewed], ["unreviewed", T.unreviewed], ["confirmed", T.confirmed], ["relabelled", fill(T.relabelled, {label: "…"})], ["rejected", T.rejected]])),
      control("sort", T.sort, select(["order", "score", "low", "size", "time", "detector"].map(s => [s, T["sort_" + s]]))),
      control("blur", T.blur, make("input", {type: "checkbox"})),
      make("button", {type: "button", id: "reset", onclick: () => { state = everything(); apply(); }}, T.reset),
      make("p", {id: "count", role: "status"}),
      make("p", {class: "soft keys"}, T.keys));
  }
  const trackFile = () => state.track.split("/")[0];
  function offerTracks() {  // those of the chosen file, or of the file whose track is chosen
    const id = state.file || trackFile();
    if (controls.track.dataset.file === id) return;
    controls.track.dataset.file = id;
    const some = D.tracks.filter(t => String(t[0]) === id);
    controls.track.replaceChildren(make("option", {value: ""}, T.any_track),
      ...some.map(t => make("option", {value: `${t[0]}/${t[1]}`}, fill(T.track_row, {n: t[1], faces: t[2]}))));
    controls.track.disabled = !some.length;
  }
  function showFilters() {
    offerTracks();
    for (const [name, node] of Object.entries(controls)) {
      if (node.type === "checkbox") node.checked = state[name] === "1";
      else if (document.activeElement !== node) node.value = state[name];
    }
    for (const option of controls.label.options) if (option.value) option.textContent = `${option.value} (${labelled.get(option.value) ?? 0})`;
    document.querySelector(".field-min label").textContent = `${T.least_score} ${Number(state.min).toFixed(2)}`;
    const [id, number] = state.track.split("/");
    $("count").replaceChildren(shown.length ? fill(T.shown, {n: shown.length.toLocaleString("en"), all: N.toLocaleString("en")}) : T.nothing,
      state.from !== "" || state.to !== "" ? " · " + T.timed_only : "",
      state.face && !indexOf.has(Number(state.face)) ? " · " + fill(T.no_such_face, {id: state.face}) : "",
      ...(state.track ? [" · ", ...filled(T.of_track, {n: number, file: named(D.files[id]?.name ?? "")})] : []));
    document.body.classList.toggle("blurred", state.blur === "1");
  }
  function apply() {
    filter();
    writeAddress();
    showFilters();
    draw(true);
  }

  // ---- the gallery: only the rows in view are drawn -------------------------------------------------
  const gallery = $("gallery"), TEXT = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const HEIGHT = Math.round(150 + 134 * TEXT), WIDTH = Math.round(168 * Math.min(TEXT, 1.5));
  let columns = 1, drawn = new Map();
  function card(i, position) {
    const seen = picture(i), said = reviews.get(F.id[i]);
    const image = seen ? make("img", {src: seen.src, alt: "", loading: "lazy", draggable: "false"})
      : make("span", {class: "no-picture"}, T.no_picture);
    if (seen) image.addEventListener("error", () => image.replaceWith(make("span", {class: "no-picture"}, T.broken_picture)));
    return make("div", {class: "cell", role: "listitem", "aria-posinset": position + 1, "aria-setsize": shown.length},
      make("button", {type: "button", class: "card", "data-position": position,
        tabindex: position === current ? 0 : -1, onclick: () => open(i)},
        make("span", {class: "picture"}, image),
        make("span", {class: "name key key-" + label(i)}, answer(i)),
        F.sure[i] ? null : make("span", {class: "soft"}, fill(T.highest, {label: `${topClass(i)} ${three(score(i))}`})),
        make("span", {class: "where"}, file(i).name),
        make("span", {class: "soft"}, when(i)),
        F.faults[i] ? make("span", {class: "fault"}, faults(i).join(", ")) : null,
        said ? make("span", {class: "said said-" + said[0]}, verdict(said)) : null));
  }
  function draw(anew) {
    if (!gallery) return;
    const width = gallery.clientWidth || 320;
    const fitting = Math.max(2, Math.floor(width / WIDTH));
    if (anew || fitting !== columns) {
      columns = fitting;
      gallery.replaceChildren();
      drawn = new Map();
      gallery.style.height = Math.ceil(shown.length / columns) * HEIGHT + "px";
    }
    const top = gallery.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((-top - 300) / HEIGHT)) * columns;
    const last = Math.min(shown.length, (Math.ceil((innerHeight - top + 300) / HEIGHT) + 1) * columns);
    for (const [position, node] of drawn)
      // What has the focus stays: else the next Tab would begin at the top of the page.
      if ((position < first || position >= last) && !node.contains(document.activeElement)) { node.remove(); drawn.delete(position); }
    const across = width / columns;
    for (let position = first; position < last; position++) {
      if (drawn.has(position)) continue;
      const node = card(shown[position], position);
      node.style.width = across + "px";
      node.style.height = HEIGHT + "px";
      node.style.transform = `translate(${position % columns * across}px, ${Math.floor(position / columns) * HEIGHT}px)`;
      drawn.set(position, node);
      const next = [...drawn.keys()].filter(p => p > position).sort((a, b) => a - b)[0];
      gallery.insertBefore(node, next === undefined ? null : drawn.get(next));
    }
    if (!drawn.has(current) && drawn.has(first)) drawn.get(first).firstChild.tabIndex = 0;
  }
  function focus(position) {
    if (!shown.length) return;
    current = Math.max(0, Math.min(shown.length - 1, position));
    const top = gallery.getBoundingClientRect().top + Math.floor(current / columns) * HEIGHT;
    if (top < 120 || top + HEIGHT > innerHeight)
      scrollBy({top: top - Math.max(120, (innerHeight - HEIGHT) / 2), behavior: "instant"});
    draw();
    for (const [p, node] of drawn) node.firstChild.tabIndex = p === current ? 0 : -1;
    drawn.get(current)?.firstChild.focus({preventScroll: true});
  }

  // ---- a face ---------------------------------------------------------------------------------------
  const dialog = $("detail");
  // What is read aloud when another face is shown or a word on it was written: it stays, the rest is made anew.
  const aloud = make("p", {role: "status", class: "unseen"}), details = make("div", {});
  dialog?.replaceChildren(aloud, details);
  const row = (name, ...value) => [make("dt", {}, name), make("dd", {}, ...value)];
  function verdict(said) {
    return said[0] === "relabelled" ? fill(T.relabelled, {label: said[1]}) : T[said[0]];
  }
  function bars(i) {
    const list = make("ul", {class: "scores"});
    for (let k = 0; k < C; k++) {
      const p = F.p[i * C + k];
      list.append(make("li", {class: k === F.top[i] ? "highest" : ""},
        make("span", {}, D.classes[k]),
        make("svg", {viewBox: "0 0 200 10", preserveAspectRatio: "none", "aria-hidden": "true"},
          make("rect", {class: "track", width: 200, height: 10}), make("rect", {class: "value key-" + D.classes[k], width: p / 5, height: 10})),
        make("span", {class: "n"}, three(p))));
    }
    return list;
  }
  function worth(i) {
    if (F.faults[i]) return fill(T.worth_poor, {words: faults(i).join(", ")}) +
      (D.degraded === null ? "" : fill(T.worth_degraded, {name: D.degraded.name, value: percent(D.degraded.value), low: percent(D.degraded.low), high: percent(D.degraded.high)}));
    const bin = D.reliability.find(b => score(i) / 1000 >= b.low && score(i) / 1000 < b.high) ??
      (score(i) >= 1000 ? D.reliability.at(-1) : null);
    const named = F.sure[i] ? D.answers[topClass(i)] : null;
    const of = named ? fill(T.worth_class, {label: topClass(i), right: percent(named[0]), from: percent(named[1]), to: percent(named[2]), n: named[3]}) : "";
    return bin ? fill(T.worth, {low: bin.low.toFixed(1), high: bin.high.toFixed(1), right: percent(bin.right.value),
      from: percent(bin.right.low), to: percent(bin.right.high), n: bin.right.n}) + of : T.worth_unknown;
  }
  function figure(i) {
    const seen = picture(i);
    if (!seen) return make("div", {class: "figure"}, make("span", {class: "no-picture"}, T.no_picture));
    const image = make("img", {src: seen.src, alt: fill(T.face_of, {n: F.no[i] + 1, all: file(i).name})});
    image.addEventListener("error", () => image.replaceWith(make("span", {class: "no-picture"}, T.broken_picture)));
    const marks = make("svg", {viewBox: "0 0 1000 1000", preserveAspectRatio: "none", class: "marks", "aria-hidden": "true"});
    if (seen.region) {
      const [left, top, right, bottom] = seen.region, [l, t, r, b] = F.box.slice(i * 4, i * 4 + 4);
      const x = v => (v - left) / (right - left) * 1000, y = v => (v - top) / (bottom - top) * 1000;
      marks.append(make("rect", {x: x(l), y: y(t), width: x(r) - x(l), height: y(b) - y(t)}));
      for (const [px, py] of points(seen.marks || ""))
        marks.append(make("path", {d: `M${px * 1000} ${py * 1000}h.01`}));
    }
    return make("div", {class: "figure"}, image, marks);
  }
  function clockTime(i) {
    const f = file(i);
    if (D.redacted) return T.clock_withheld;
    const within = f.kind === "still" && F.stream[i];  // a video within a still began before that was taken
    if (f.at === null || within || F.seconds[i] === null && f.kind === "video") return T.no_clock;
    const at = new Date(f.at + (F.seconds[i] === null ? 0 : (F.seconds[i] - f.start) * 1000));
    const utc = at.toISOString().replace("T", " ").replace("Z", " UTC");
    return fill(T.clock, {when: D.tz ? fill(T.clock_there, {when: utc, there: there(at), zone: D.tz}) : utc});
  }
  function there(at) {  // with its offset: when clocks are set back, an hour comes twice
    const two = "2-digit";
    try {
      return new Intl.DateTimeFormat("sv-SE", {timeZone: D.tz, year: "numeric", month: two, day: two, hour: two,
        minute: two, second: two, timeZoneName: "longOffset"}).format(at);
    } catch {  // a browser that is older than the zone
      return "?";
    }
  }
  function streamOf(i) {
    return F.stream[i] ? " · " + fill(file(i).kind === "still" ? T.within : T.stream, {n: F.stream[i]}) : "";
  }
  function facts(i) {
    const f = file(i);
    const time = F.pts[i] === null ? when(i)
      : `${clock(F.seconds[i])} · ${fill(T.frame, {n: F.frame[i]})} · ${fill(T.pts, {pts: F.pts[i], base: F.time_base[i], seconds: F.seconds[i]})}` +
        streamOf(i);
    const face = [fill(T.box, box(i)), fill(T.detected_by, {name: F.detector[i], score: F.score[i]})];
    if (F.size[i] !== null) face.push(fill(T.side, {n: F.size[i]}), fill(T.sharp, {n: F.blur[i]}), fill(T.light, {n: F.brightness[i]}));
    if (F.yaw[i] !== null) face.push(fill(T.pose, {yaw: F.yaw[i], pitch: F.pitch[i], roll: F.roll[i]}));
    if (F.outside[i]) face.push(fill(T.outside, {n: percent(F.outside[i])}));
    if (F.spread[i] !== null) face.push(fill(T.spread, {n: F.spread[i]}));
    const list = make("dl", {class: "facts"},
      row(T.where, named(f.name), make("br"), time, make("br"), clockTime(i),
        f.recorded ? [make("br"), fill(T.says_recorded, {value: f.recorded, zone: f.zone})] : [],
        f.copies.length ? [make("br"), ...filled(T.copies, {paths: among(f.copies.map(named), " · ")})] : []),
      row(T.face_facts, fill(T.number, {id: F.id[i], run: D.run}), make("br"), face.join(" · "), make("br"),
        make("strong", {class: F.faults[i] ? "warn" : "soft"}, F.faults[i] === null ? T.not_judged : F.faults[i] ? fill(T.faults, {words: faults(i).join(", ")}) : T.no_faults)));
    const track = D.tracks.find(t => t[0] === F.file[i] && t[1] === F.track[i]);
    if (track) list.append(...row(T.track, ...filled(T.of_track, {n: track[1], file: named(f.name)}), ": " +
      fill(T.of_track_facts, {faces: track[2], label: D.classes[track[3]], score: three(track[5]), unsure: track[4] ? "" : T.unsure}),
      make("br"),
      make("button", {type: "button", class: "link", onclick: () => { dialog.close(); state = {...everything(), track: trackKey(i)}; apply(); showFaces("instant"); }}, T.show_track), " ",
      make("button", {type: "button", class: "link", onclick: () => { dialog.close(); $("recording-" + F.file[i])?.scrollIntoView(); }}, T.show_chart)));
    list.append(...row(T.hashes, ["SHA-256", "SHA-1", "MD5"].map((name, k) => f.hashes[k] && make("span", {class: "hash block"}, name + " " + f.hashes[k]))));
    return list;
  }
  function open(i) {
    const position = shown.indexOf(i);
    if (position >= 0) current = position;
    state.face = String(F.id[i]);
    writeAddress();
    const step = by => { if (shown[current + by] !== undefined) open(shown[current + by]); };
    const before = dialog.contains(document.activeElement) ? document.activeElement.id : "";
    const title = position < 0 ? fill(T.number, {id: F.id[i], run: D.run}) : fill(T.face_of, {n: position + 1, all: shown.length});
    aloud.textContent = `${title}: ${answer(i)}`;
    details.replaceChildren(
      make("div", {class: "bar"},
        make("h2", {id: "detail-title"}, title),
        make("button", {type: "button", id: "previous", onclick: () => step(-1), disabled: position <= 0}, "← " + T.previous),
        make("button", {type: "button", id: "next", onclick: () => step(1), disabled: position < 0 || position + 1 >= shown.length}, T.next + " →"),
        make("button", {type: "button", class: "close", onclick: () => dialog.close()}, T.close)),
      make("div", {class: "detail"},
        make("div", {}, figure(i),
          make("label", {class: "toggle"}, make("input", {type: "checkbox", checked: !dialog.classList.contains("plain"),
            onchange: event => dialog.classList.toggle("plain", !event.target.checked)}), " " + T.marks)),
        make("div", {class: "right"},
          make("p", {class: "answer"}, make("span", {class: "key key-" + label(i)}, answer(i)),
            F.sure[i] ? "" : " " + fill(T.highest, {label: `${topClass(i)} ${three(score(i))}`})),
          make("h3", {}, T.scores), bars(i), make("p", {class: "soft"}, worth(i) + " " + T.lead),
          review(i), facts(i))));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    // What had the focus was replaced: its successor has it, or what is always there.
    const after = before && $(before);
    if (before) [after, before === "relabel" ? $("other") : null, dialog.querySelector(".close")].find(node => node && !node.disabled).focus({preventScroll: true});
  }
  // What was said of it may have made it fail the filters.
  dialog?.addEventListener("close", () => { state.face = ""; if (D.review) apply(); else { writeAddress(); draw(); } drawn.get(current)?.firstChild.focus(); });

  // ---- reviews: what was said, and, where the page is served for it, a form --------------------------
  const drafts = new Map();  // notes that were typed and not sent yet
  addEventListener("beforeunload", event => { if (drafts.size) event.preventDefault(); });
  function review(i) {
    const before = reviews.get(F.id[i]);
    if (!before && !D.review) return null;
    const place = make("div", {class: "review"}, make("h3", {}, T.review_title));
    if (before) place.append(make("p", {}, ...filled(T.review_said, {verdict: verdict(before), who: named(before[3]), at: before[4]}), before[2] ? ": " + before[2] : ""));
    if (!D.review) return place;
    const withdraw = before ? make("button", {type: "button", id: "withdraw", onclick: () => send("withdrawn", null)}, T.withdraw) : null;
    const status = make("p", {class: "status soft"});
    const note = make("textarea", {rows: 2, id: "note", maxlength: D.most_note, oninput: () => { if (note.value === saved) drafts.delete(F.id[i]); else drafts.set(F.id[i], note.value); }});
    if (!picture(i)) { place.append(make("p", {class: "warn"}, T.nothing_to_judge), ...(before ? [make("div", {class: "buttons"}, withdraw)] : []), status); return place; }
    // What another reviewer wrote is not one's own word.
    const saved = D.reviewers.includes(before?.[3]) ? before[2] : "";
    note.value = drafts.get(F.id[i]) ?? saved;
    // None is chosen until a person chooses: a key that went on to the next face must not say one for it.
    const other = select([["", "–"], ...D.classes.filter(c => c !== topClass(i)).map(c => [c, c])]);
    other.setAttribute("aria-label", T.relabel);
    other.id = "other";
    other.value = before?.[0] === "relabelled" && D.reviewers.includes(before[3]) ? before[1] : "";
    const relabel = make("button", {type: "button", id: "relabel", disabled: !other.value, onclick: () => send("relabelled", other.value)}, T.relabel);
    other.addEventListener("change", () => { relabel.disabled = !other.value; });
    let pending = false;
    async function send(what, chosen) {
      if (pending) return;  // a double click says a thing once
      pending = true;
      try {
        const reply = await fetch(D.review, {method: "POST", headers: {"Content-Type": "application/json", "X-Femo": "review"},
          body: JSON.stringify({face_id: F.id[i], seen: before?.[4] ?? null, verdict: what, label: chosen, note: what === "withdrawn" ? drafts.get(F.id[i]) ?? "" : note.value})});
        const body = await reply.json();
        if (!reply.ok && reply.status !== 409) throw new Error(body.error);
        const counts = reply.ok ? body : body.review;  // 409: another window or reviewer was quicker
        if (!counts || counts.verdict === "withdrawn") reviews.delete(F.id[i]);
        else reviews.set(F.id[i], [counts.verdict, counts.label, counts.note, counts.reviewer, counts.at]);
        if (reply.ok) drafts.delete(F.id[i]);
        draw(true);
        open(i);
        $("reload")?.removeAttribute("hidden");
        const told = !reply.ok ? fill(T.not_saved, {why: body.error}) : body.warning ? fill(T.saved_but, {why: body.warning}) : T.saved;
        aloud.textContent = dialog.querySelector(".review .status").textContent = told;
      } catch (error) {
        pending = false;
        aloud.textContent = status.textContent = fill(T.not_saved, {why: error.message});
      }
    }
    place.append(
      make("label", {for: "note"}, T.review_note), note,
      make("div", {class: "buttons"},
        make("button", {type: "button", id: "confirm", onclick: () => send("confirmed", null)}, T.confirm),
        make("button", {type: "button", id: "reject", onclick: () => send("rejected", null)}, T.reject),
        make("span", {}, relabel, " ", other),
        withdraw),
      status);
    return place;
  }

  // ---- recordings: the highest score of each face over time, a lane for each track --------------------
  const LANES = 12, LANE = 44, LEFT = 128, RIGHT = 790;
  function chart(place, id, all) {
    const f = D.files[id], lanes = new Map();
    for (let i = 0; i < N; i++)
      if (String(F.file[i]) === id && F.seconds[i] !== null) {
        const key = F.track[i] ?? "";
        if (!lanes.has(key)) lanes.set(key, []);
        lanes.get(key).push(i);
      }
    if (!lanes.size) return;
    const ordered = [...lanes].sort((a, b) => b[1].length - a[1].length || Number(a[0]) - Number(b[0]));
    const some = all ? ordered : ordered.slice(0, LANES);
    const every = ordered.flatMap(([, faces]) => faces.map(i => F.seconds[i]));
    const start = every.reduce((a, b) => Math.min(a, b), f.start);
    const end = every.reduce((a, b) => Math.max(a, b), f.end ?? f.start) || 1;
    const x = s => LEFT + 8 + (RIGHT - LEFT - 16) * (s - start) / Math.max(1e-9, end - start);
    const height = some.length * LANE + 24;
    const svg = make("svg", {viewBox: `0 0 800 ${height}`, class: "lanes", role: "img", "aria-label": T.chart});
    some.forEach(([track, faces], lane) => {
      const base = lane * LANE + LANE - 6, y = i => base - (LANE - 14) * score(i) / 1000;
      for (const value of [0, 1]) {
        const at = base - (LANE - 14) * value;
        svg.append(make("line", {class: "axis", x1: LEFT, x2: RIGHT, y1: at, y2: at}), make("text", {x: RIGHT + 3, y: at + 4}, String(value)));
      }
      svg.append(
        make("text", {x: LEFT - 8, y: base - 12, "text-anchor": "end"}, track === "" ? T.no_track : fill(T.track_row, {n: track, faces: D.tracks.find(t => String(t[0]) === id && t[1] === track)?.[2] ?? faces.length})));
      // A gap is what two sampled frames do not bridge; where the recording decides, twice the median step.
      const steps = faces.slice(1).map((i, k) => F.seconds[i] - F.seconds[faces[k]]).filter(s => s > 0).sort((a, b) => a - b);
      const bridge = 2.2 * (D.interval ?? steps[steps.length >> 1] ?? 0);
      let d = "";
      if (track !== "") faces.forEach((i, k) => {
        const joined = k && F.seconds[i] - F.seconds[faces[k - 1]] <= bridge;
        d += `${joined ? "L" : "M"}${x(F.seconds[i]).toFixed(1)} ${y(i).toFixed(1)}`;
      });
      svg.append(make("path", {class: "joined", d}));
      for (const i of faces) {
        const dot = make("circle", {class: "key-" + topClass(i) + (F.sure[i] ? "" : " open"), cx: x(F.seconds[i]).toFixed(1), cy: y(i).toFixed(1), r: 4,
          "data-face": F.id[i]}, make("title", {svg: true}, `${clock(F.seconds[i])}: ${topClass(i)} ${three(score(i))}${F.sure[i] ? "" : T.unsure}`));
        svg.append(dot);
      }
    });
    svg.append(make("text", {x: LEFT + 8, y: height - 4}, clock(start)), make("text", {x: RIGHT, y: height - 4, "text-anchor": "end"}, clock(end)));
    svg.addEventListener("click", event => {
      const id = event.target.closest("circle")?.dataset.face;
      if (id) open(indexOf.get(Number(id)));
    });
    const classes = new Set(some.flatMap(([, faces]) => faces.map(topClass)));
    place.replaceChildren(svg, make("p", {class: "legend"}, ...D.classes.filter(c => classes.has(c)).flatMap(c => [make("span", {class: "key key-" + c}, c), " "]), T.chart_scale));
    if (some.length < ordered.length)
      place.append(make("button", {type: "button", onclick: () => chart(place, id, true)}, fill(T.all_tracks, {n: ordered.length})));
  }
  const charts = [...document.querySelectorAll(".recording")];
  const drawChart = article => { const place = article.querySelector(".chart-place"); if (!place.firstChild) chart(place, article.dataset.file, false); };
  const watcher = new IntersectionObserver(entries => entries.forEach(e => { if (e.isIntersecting) { drawChart(e.target); watcher.unobserve(e.target); } }), {rootMargin: "400px"});
  charts.forEach(article => watcher.observe(article));

  // ---- tables: search and order -----------------------------------------------------------------------
  const tables = [...document.querySelectorAll("table.searched")].map(table => {
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const count = make("span", {role: "status", class: "soft"});
    const search = make("input", {type: "search", placeholder: T.search_table, "aria-label": `${T.search_table}: ${table.dataset.name}`});
    function show() {
      const words = plain(search.value).split(/\s+/).filter(Boolean);
      let n = 0;
      for (const row of rows) {
        const text = words.length ? plain(row.textContent) : "";
        row.hidden = !words.every(word => text.includes(word));
        n += !row.hidden;
      }
      count.textContent = words.length ? fill(T.rows_shown, {n, all: rows.length}) : "";
    }
    search.addEventListener("input", show);
    heads.forEach((head, column) => {
      const title = head.textContent, values = new Map(), numbers = head.classList.contains("n");
      const value = row => {
        if (!values.has(row)) { const text = row.cells[column].textContent.trim(); values.set(row, numbers ? parseFloat(text.replace(/^\(/, "")) : text); }
        return values.get(row);
      };
      const order = (a, b) => numbers ? (Number.isNaN(value(a)) ? -Infinity : value(a)) - (Number.isNaN(value(b)) ? -Infinity : value(b)) || 0 : value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0;
      const button = make("button", {type: "button", class: "order", onclick: () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        const all = document.createDocumentFragment();
        for (const row of [...rows].sort((a, b) => down ? order(b, a) : order(a, b))) all.append(row);
        body.append(all);
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      }}, title);
      head.replaceChildren(button);
      // Chromium leaves buttons out where it repeats a head on the next page.
      addEventListener("beforeprint", () => head.replaceChildren(title));
      addEventListener("afterprint", () => head.replaceChildren(button));
    });
    table.closest(".scroll").before(make("div", {class: "table-search"}, search, count));
    return {rows, show};
  });
  // A row that is hidden must not be missing on paper.
  addEventListener("beforeprint", () => tables.forEach(({rows}) => rows.forEach(row => { row.hidden = false; })));
  addEventListener("afterprint", () => tables.forEach(({show}) => show()));

  // ---- paper ----------------------------------------------------------------------------------------
  const PRINTED = 2000;
  function prepare() {
    charts.forEach(drawChart);
    const place = $("printed");
    if (!place || place.firstChild) return;
    const some = shown.slice(0, PRINTED), cut = shown.length - some.length;
    const filters = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name] && !["sort", "blur", "face"].includes(name))
      .map(([name, value]) => `${titles[name]} ${name === "file" ? D.files[value]?.name ?? value : value}`).join(", ") || T.no_filters;
    const printing = fill(T.printing, {n: some.length, all: N, sort: T["sort_" + state.sort], filters});
    place.append(make("p", {}, printing, cut ? " " + fill(T.printing_cut, {n: cut, most: PRINTED}) : ""));
    for (const i of some) {
      const seen = picture(i), said = reviews.get(F.id[i]);
      place.append(make("div", {class: "print-face"},
        seen ? make("img", {src: seen.src, alt: ""}) : make("span", {class: "no-picture"}, T.no_picture),
        make("div", {}, ...(said?.[0] === "rejected" ? [make("b", {class: "warn"}, verdict(said)), " · "] : []), make("b", {}, F.sure[i] ? `${topClass(i)} ${three(score(i))}` : `${UNCERTAIN} (${fill(T.highest, {label: topClass(i) + " " + three(score(i))})})`),
          make("br"), file(i).name, make("br"), when(i), F.pts[i] === null ? "" : ` · ${fill(T.frame, {n: F.frame[i]})} · pts ${F.pts[i]} × ${F.time_base[i]} s`,
          streamOf(i), " · ", clockTime(i), make("br"),
          D.classes.map((c, k) => `${c} ${three(F.p[i * C + k])}`).join(", "), make("br"),
          [fill(T.number, {id: F.id[i], run: D.run}), fill(T.box, box(i)), fill(T.detected_by, {name: F.detector[i], score: F.score[i]}), ...(F.size[i] === null ? [] : [fill(T.side, {n: F.size[i]})]), ...(F.track[i] === null ? [] : [fill(T.track_no, {n: F.track[i]})]), worth(i), ...(said ? [fill(T.review_said, {verdict: verdict(said), who: said[3], at: said[4]}) + (said[2] ? ": " + said[2] : "")] : [])].join(" · "), make("br"),
          make("span", {class: "hash"}, file(i).hashes[0]))));
    }
  }
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", () => $("printed")?.replaceChildren());

  // ---- keys and beginnings --------------------------------------------------------------------------
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), select, textarea");
    if (dialog?.open) {
      if (typing) return;
      if (event.key === "ArrowLeft" && !$("previous").disabled) open(shown[current - 1]);
      else if (event.key === "ArrowRight" && !$("next").disabled) open(shown[current + 1]);
      else return;
      event.preventDefault();
      return;
    }
    if (typing || !gallery || !event.target.closest("#faces")) return;  // who speaks letters elsewhere means others
    const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns};
    if (event.key === "/") controls.q.focus();
    else if (event.key === "b") { state.blur = state.blur ? "" : "1"; writeAddress(); showFilters(); }
    else if (event.key in moves && event.target.closest(".card")) focus(current + moves[event.key]);
    else if (event.key === "Home" && event.target.closest(".card")) focus(0);
    else if (event.key === "End" && event.target.closest(".card")) focus(shown.length - 1);
    else return;
    event.preventDefault();
  });
  function follow(first) {
    const asked = readAddress();
    if (asked) writeAddress();  // with what is kept of before
    if (gallery) { filter(); showFilters(); draw(true); }
    if (!asked || !gallery) return;
    const i = indexOf.get(Number(state.face));
    if (i !== undefined) open(i);
    else { if (dialog.open) dialog.close(); showFaces(first || reducedMotion ? "instant" : "smooth"); }
  }
  function showFaces(behavior) {  // with the focus: the next Tab goes on from there
    const heading = $("faces").querySelector("h2");
    heading.tabIndex = -1;
    heading.focus({preventScroll: true});
    $("faces").scrollIntoView({behavior});
  }
  if (gallery) {
    gallery.setAttribute("role", "list");
    gallery.setAttribute("aria-label", T.gallery);
    buildFilters();
    let asked = false;
    const later = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; draw(); }); } };
    addEventListener("scroll", later, {passive: true});
    addEventListener("resize", later);
  }
  addEventListener("hashchange", () => follow(false));
  follow(true);
  document.documentElement.dataset.ready = "1";
})();
