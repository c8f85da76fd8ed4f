// What the page does by itself: keys, places on boards, lit claims, focus, and words for screen readers.
// Every action is a form that works without this file; nothing here knows more than what the page shows.
"use strict";
(() => {
  const SETTLE = 300; // ms in which a second click or key is not an answer to the comparison that has just appeared
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  let settled = 0;
  let cursor = { a: null, b: null };
  let lit = null;
  let unsaved = false;

  const say = (words) => {
    const announcer = $("#announcer");
    announcer.textContent = "";
    if (words) setTimeout(() => { announcer.textContent = words; }, 60);
  };
  const problem = (words) => { $("#problem").textContent = words; };

  // --- places on a board: the options of its list are the places, with their boxes ---

  const places = (side) => all(`#place-${side} option[data-box]`).map((option) => {
    const [x, y, w, h] = option.dataset.box.split(" ").map(Number);
    return { place: option.value, label: option.textContent, x, y, w, h };
  });

  const point = (side, spot) => {
    cursor[side] = spot ? spot.place : null;
    const board = $(`#board-${side}`);
    const select = $(`#place-${side}`);
    if (spot && select) select.value = spot.place;
    if (!board) return;
    if (board.dataset.kind === "text") {
      all("[data-place]", board).forEach((piece) => piece.classList.toggle("at", !!spot && piece.dataset.place === spot.place));
      return;
    }
    let mark = $(".at", board);
    if (!spot) { if (mark) mark.remove(); return; }
    if (!mark) {
      mark = document.createElementNS(SVG, "rect");
      mark.setAttribute("class", "at");
    }
    board.append(mark);
    for (const [name, value] of [["x", spot.x], ["y", spot.y], ["width", spot.w], ["height", spot.h]]) mark.setAttribute(name, value);
  };

  const under = (board, event) => {
    const side = board.dataset.side;
    if (board.dataset.kind === "text") {
      const piece = event.target.closest("[data-place]");
      return piece && places(side).find((spot) => spot.place === piece.dataset.place);
    }
    const frame = board.getBoundingClientRect();
    const [, , width, height] = board.dataset.box.split(" ").map(Number);
    const x = ((event.clientX - frame.left) / frame.width) * width;
    const y = ((event.clientY - frame.top) / frame.height) * height;
    const hit = places(side).filter((spot) => spot.x <= x && x < spot.x + spot.w && spot.y <= y && y < spot.y + spot.h);
    return hit.sort((one, other) => one.w * one.h - other.w * other.h)[0];
  };

  const read = (side) => { const form = $(`#read-${side}`); if (form) form.requestSubmit(); };

  const step = (side, key, kind) => {
    const spots = places(side);
    if (!spots.length) return;
    const now = spots.find((spot) => spot.place === cursor[side]);
    if (!now) return arrive(side, spots[0]);
    if (key === "Home") return arrive(side, spots[0]);
    if (key === "End") return arrive(side, spots[spots.length - 1]);
    if (kind !== "picture") {
      const ordered = spots.slice().sort((one, other) => one.x - other.x || one.w - other.w);
      const next = ordered.indexOf(now) + (key === "ArrowRight" || key === "ArrowDown" ? 1 : -1);
      return arrive(side, ordered[Math.min(Math.max(next, 0), ordered.length - 1)]);
    }
    const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
    const centre = (spot) => [spot.x + spot.w / 2, spot.y + spot.h / 2];
    const [fromX, fromY] = centre(now);
    let best = null;
    for (const spot of spots) {
      const [x, y] = centre(spot);
      const along = (x - fromX) * dx + (y - fromY) * dy;
      const aside = Math.abs((x - fromX) * dy) + Math.abs((y - fromY) * dx);
      if (along > 1e-6 && (!best || along + 2 * aside < best.cost)) best = { spot, cost: along + 2 * aside };
    }
    if (best) arrive(side, best.spot);
  };
  const arrive = (side, spot) => { point(side, spot); say(spot.label); };

  document.addEventListener("pointermove", (event) => {
    const board = event.target.closest && event.target.closest(".live");
    if (!board || event.pointerType === "touch") return;
    point(board.dataset.side, under(board, event) || null);
  });
  document.addEventListener("click", (event) => {
    const board = event.target.closest(".live");
    if (!board) return;
    const side = board.dataset.side;
    const spot = under(board, event);
    if (!spot) return;
    const again = cursor[side] === spot.place;
    point(side, spot);
    // A finger hides what it touches: the first tap chooses, the second one reads.
    if (event.pointerType !== "touch" || again) read(side);
    else say(`${spot.label}. Tap again to read.`);
  });
  document.addEventListener("change", (event) => {
    const side = event.target.id === "place-a" ? "a" : event.target.id === "place-b" ? "b" : null;
    if (side) point(side, places(side).find((spot) => spot.place === event.target.value) || null);
    if (event.target.classList.contains("keys-switch")) {
      localStorage.setItem("keys", event.target.checked ? "on" : "off");
      showSwitches();
    }
  });

  // --- clips: both play in step, and begin anew together when the longer one has ended ---

  const FRAME = 1 / 15; // s, of one step on or back
  const APART = 0.12; // s, beyond which one clip is brought to where the other is
  const SPEEDS = [1, 0.5, 0.25];
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let running = !still.matches, speed = 1;
  const films = () => all("video.film").filter((film) => !film.error);
  const roll = () => {
    for (const film of films()) {
      film.playbackRate = speed;
      if (!running) film.pause();
      else if (!film.ended) film.play().catch(() => {});
    }
    const play = $("#play span"), slow = $("#slow");
    if (play) play.textContent = running ? "Pause" : "Play";
    if (slow) {
      slow.setAttribute("aria-pressed", String(speed < 1));
      $("span", slow).textContent = speed < 1 ? `${speed === 0.5 ? "½" : "¼"} speed` : "Slower";
    }
  };
  const ready = () => { if (films().every((film) => film.readyState >= 3)) roll(); };
  const anew = () => { for (const film of films()) film.currentTime = 0; };
  const again = () => { if (running && films().every((film) => film.ended)) { anew(); roll(); } };
  const playOrPause = () => { running = !running; if (films().every((film) => film.ended)) anew(); roll(); };
  const slower = () => { speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length]; roll(); };
  const frame = (frames) => {
    running = false;
    roll();
    const shown = films(), now = Math.max(0, ...shown.map((film) => film.currentTime));
    for (const film of shown) film.currentTime = Math.min(Math.max(now + frames * FRAME, 0), film.duration || 0);
  };
  document.addEventListener("canplay", (event) => { if (event.target.matches("video.film")) ready(); }, true);
  document.addEventListener("ended", again, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#player button"), film = event.target.closest("video.film");
    if (film && !film.controls) playOrPause();
    if (button) ({ play: playOrPause, slow: slower, back: () => frame(-1), forth: () => frame(1) })[button.id]();
  });
  const follow = () => { // a line on each plot where its clip is, and no clip ahead of the other
    const shown = films(), [first, second] = shown;
    if (second && running && !first.seeking && !second.seeking && !first.ended && !second.ended) {
      if (Math.abs(first.currentTime - second.currentTime) > APART) second.currentTime = first.currentTime;
    }
    for (const film of shown) {
      const board = $(`#board-${film.id.slice(-1)}`);
      if (!board) continue;
      let line = $(".now", board);
      if (!line) {
        line = document.createElementNS(SVG, "line");
        for (const [name, value] of [["class", "now"], ["y1", 0], ["y2", 1]]) line.setAttribute(name, value);
        board.append(line);
      }
      for (const name of ["x1", "x2"]) line.setAttribute(name, film.currentTime);
    }
    if (shown.length) requestAnimationFrame(follow); else following = false;
  };
  let following = false;
  const setUpClips = () => {
    const bar = $("#player");
    if (!bar) return;
    bar.hidden = false;
    for (const film of all("video.film")) film.controls = false;
    roll();
    for (const film of all("video.shown")) if (running && film.paused && !film.dataset.begun) { film.dataset.begun = "1"; film.play().catch(() => {}); }
    if (!following) { following = true; follow(); }
  };

  // --- claims ---

  const light = (number, seek = true) => {
    lit = number;
    all("[data-claim]").forEach((item) => item.classList.toggle("lit", item.dataset.claim === String(number)));
    all("[data-mark]").forEach((mark) => mark.classList.toggle("lit", mark.dataset.mark.split(" ").includes(String(number))));
    const time = $(`.timeline [data-mark="${number}"]`);
    if (time && seek) for (const film of films()) film.currentTime = Number(time.dataset.from);
    const passage = $(`.passage [data-mark~="${number}"]`);
    if (passage && seek) passage.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".claim.opened button");
    if (!button) return;
    event.preventDefault(); // it is open, and known to be: only its place lights up again
    light(button.value);
    say(button.textContent.replace(/\s+/g, " ").trim());
  });
  const nextClaim = () => {
    const closed = $(".claim:not(.opened) button");
    const buttons = all(".claim button");
    const last = buttons.findIndex((button) => button.closest(".lit"));
    const button = closed || buttons[(last + 1) % buttons.length];
    if (!button) return;
    button.focus({ preventScroll: false });
    button.click();
  };
  const allClaims = () => {
    const form = $(".said form");
    if (!form) return;
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "claim", value: "all" });
    form.append(input);
    form.requestSubmit();
    input.remove();
  };

  // --- answers: one a comparison ---

  const early = () => performance.now() - settled < SETTLE;
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "answer") return;
    if (early() || event.target.dataset.sent) { event.preventDefault(); event.stopImmediatePropagation(); return; }
    event.target.dataset.sent = "1";
    unsaved = false;
  }, true);

  document.addEventListener("input", (event) => {
    if (event.target.id === "rationale") { unsaved = true; $("#draft-state").textContent = ""; }
  });
  addEventListener("pagehide", () => {
    const form = $("#answer");
    if (unsaved && form) navigator.sendBeacon("/draft", new URLSearchParams(new FormData(form)));
  });

  // --- keys ---

  const keysWork = () => localStorage.getItem("keys") !== "off";
  const showSwitches = () => all(".keys-switch").forEach((box) => { box.checked = keysWork(); });
  const writes = (element) => element.closest("textarea, select, input:not([type=checkbox]):not([type=hidden]), [contenteditable]");

  // keys of one's own: what is pressed stands for the key that the page has by itself
  const known = all(".own-key").map((box) => box.dataset.of);
  let own = {};
  try { own = JSON.parse(localStorage.getItem("own-keys")) || {}; } catch { localStorage.removeItem("own-keys"); }
  const keyOf = (each) => own[each] || each;
  const meant = (pressed) => {
    const key = pressed.length === 1 ? pressed.toLowerCase() : pressed;
    const found = known.find((each) => keyOf(each) === key);
    if (found === "c" && pressed !== key) return "C";
    return found || (known.includes(key) ? "" : key);
  };
  const showKeys = () => {
    for (const mark of all("kbd, [aria-keyshortcuts]")) {
      const spoken = mark.hasAttribute("aria-keyshortcuts");
      if (!mark.dataset.of) mark.dataset.of = (spoken ? mark.getAttribute("aria-keyshortcuts") : mark.textContent).toLowerCase();
      if (!known.includes(mark.dataset.of)) continue;
      if (spoken) mark.setAttribute("aria-keyshortcuts", keyOf(mark.dataset.of));
      else mark.textContent = keyOf(mark.dataset.of).toUpperCase();
    }
    all(".own-keys").forEach((part) => { part.hidden = false; });
    all(".own-key").forEach((box) => { box.value = keyOf(box.dataset.of).toUpperCase(); });
  };
  const keep = (keys, words) => {
    own = keys;
    localStorage.setItem("own-keys", JSON.stringify(own));
    $(".own-said").textContent = words;
    showKeys();
  };
  const named = (each) => $(`.own-key[data-of="${each}"]`).parentNode.textContent.trim();
  document.addEventListener("input", (event) => {
    const box = event.target;
    const key = (event.data || "").slice(-1).toLowerCase();
    if (!box.matches(".own-key") || !key) return;
    const holder = known.find((each) => each !== box.dataset.of && keyOf(each) === key);
    const free = !holder && !/[?\s]/.test(key);
    box.setAttribute("aria-invalid", String(!free));
    if (free) keep({ ...own, [box.dataset.of]: key }, `${key.toUpperCase()}: ${named(box.dataset.of)}.`);
    else keep(own, `${key.trim().toUpperCase() || "Space"} is taken: ${holder ? named(holder) : "the page needs it"}.`);
  });
  document.addEventListener("focusout", (event) => { if (event.target.matches(".own-key")) showKeys(); });
  document.addEventListener("click", (event) => { if (event.target.closest(".own-reset")) keep({}, "All keys are as they were."); });

  const press = (button) => { if (button) button.click(); };
  const goTo = (side) => {
    const board = $(`#board-${side}`);
    if (!board || board.getAttribute("tabindex") === null) { say("Take up an instrument first."); return; }
    board.focus();
    board.scrollIntoView({ block: "nearest" });
    if (!cursor[side] && board.classList.contains("live")) step(side, "ArrowRight", board.dataset.kind);
  };

  const KEYS = {
    c: nextClaim, C: allClaims, a: () => goTo("a"), b: () => goTo("b"),
    n: () => { const note = $("#rationale"); if (note) note.focus(); },
    k: () => press($("#play")), s: () => press($("#slow")), ",": () => press($("#back")), ".": () => press($("#forth")),
    u: () => press($("#undo")), p: () => { location.href = "/pause"; }, "?": () => openHelp(),
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === "Escape") {
      all("details.who[open]").forEach((details) => { details.open = false; });
      if (target.id === "rationale" || target.closest(".live")) $("#heading").focus();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || writes(target) || $("dialog[open]")) return;
    const board = target.closest(".live");
    if (board && ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) {
      event.preventDefault();
      step(board.dataset.side, event.key, board.dataset.kind);
      return;
    }
    if (board && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      if (event.repeat) return;
      if (cursor[board.dataset.side]) read(board.dataset.side); else say("Choose a place with the arrow keys.");
      return;
    }
    if (!keysWork() || event.repeat || target.closest("video")) return;
    const key = meant(event.key);
    const tool = $(`[data-key="${CSS.escape(key)}"]`);
    const act = /^[1-6]$/.test(key) ? () => press($(`#answer-${key}`)) : KEYS[key] || (tool && (() => press(tool)));
    if (!act || ($("#work") === null && key !== "?")) return;
    event.preventDefault();
    act();
  });

  // --- help ---

  const openHelp = () => {
    const dialog = $("#help");
    if (!dialog) { location.href = "/help"; return; }
    if (!dialog.open) dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("#help-link") && $("#help")) { event.preventDefault(); openHelp(); }
    if (event.target.id === "help") event.target.close(); // beside the dialog
    all("details.who[open]").forEach((details) => { if (!details.contains(event.target)) details.open = false; });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button && navigator.clipboard) navigator.clipboard.writeText($(button.dataset.copy).textContent).then(() => say("Copied."));
  });

  // --- what counts: open for the first comparison; once somebody folds or opens it, it stays so ---

  document.addEventListener("click", (event) => { // a key on it is a click too
    if (event.target.closest("#guide summary")) localStorage.setItem("guide", $("#guide").open ? "folded" : "open");
  });
  const foldGuide = () => {
    const guide = $("#guide"), chosen = localStorage.getItem("guide");
    if (guide && chosen) guide.open = chosen === "open";
  };

  // --- after each answer of the server ---

  const arrived = (first) => {
    const state = $("#state");
    if (!state) return;
    const fresh = state.dataset.fresh === "1";
    foldGuide();
    showKeys();
    setUpClips();
    if (fresh) lit = null;
    if (state.dataset.lit) light(state.dataset.lit);
    else if (lit !== null) light(lit, false);
    if (fresh) {
      settled = performance.now();
      cursor = { a: null, b: null };
      unsaved = false;
      if (!first) {
        document.title = state.dataset.title;
        scrollTo(0, 0);
        $("#heading").focus({ preventScroll: true });
      }
    } else {
      for (const side of ["a", "b"]) {
        const spot = places(side).find((each) => each.place === cursor[side]);
        point(side, spot || null);
      }
    }
    if (!first) say(state.dataset.refused ? "" : [state.dataset.say, fresh ? $("#heading").textContent : ""].filter(Boolean).join(" "));
  };
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail && event.detail.ctx && event.detail.ctx.target;
    if (target && target.id !== "work") return;
    problem("");
    arrived(false);
  });
  document.addEventListener("htmx:after:request", (event) => {
    const source = event.detail.ctx.sourceElement;
    if (source && source.id === "rationale" && event.detail.ctx.response && event.detail.ctx.response.status === 204) {
      unsaved = false;
      $("#draft-state").textContent = "kept";
    }
  });
  document.addEventListener("htmx:finally:request", (event) => {
    const form = event.detail.ctx.sourceElement;
    if (form && form.id === "answer") delete form.dataset.sent; // if it is still there, it was refused
  });
  document.addEventListener("htmx:error", (event) => {
    const source = event.detail && event.detail.ctx && event.detail.ctx.sourceElement;
    if (source && source.matches && source.matches(".empty, #figures")) return; // they ask again by themselves
    problem("The server cannot be reached. What you see is kept; try again.");
  });

  showSwitches();
  showKeys();
  arrived(true);
})();
