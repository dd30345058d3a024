// Tells when this session ends elsewhere. Everything else on the page works without it.
"use strict";

const region = document.getElementById("live");
const address = new URL(region.dataset.socket, location.href.replace(/^http/, "ws"));
const SESSION_ENDED = 1008;
const LONGEST_WAIT = 60_000;
let wait = 1_000; // milliseconds until it connects again

function say(state, text) {
  region.className = state;
  region.textContent = text;
}

function tellEnd() {
  say("ended", "This session is over: it was ended elsewhere, or it got a new token. ");
  const link = document.createElement("a");
  link.href = location.pathname;
  link.textContent = "Load the page again";
  region.append(link);
  document.body.classList.add("over");
}

function connect() {
  const socket = new WebSocket(address);
  socket.addEventListener("open", () => {
    wait = 1_000;
    say("open", "Live: when this session ends elsewhere, this line says so.");
  });
  socket.addEventListener("close", (event) => {
    if (event.code === SESSION_ENDED) {
      tellEnd();
      return;
    }
    say("", "Not connected: whether the session ends, the page learns when you load it.");
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT);
  });
}

connect();
