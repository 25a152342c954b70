"use strict";
const told = document.getElementById("status");

async function send(face, verdict) {
  const label = verdict === "relabelled" ? face.querySelector("select").value : null;
  const note = face.querySelector(".note").value;
  const response = await fetch("reviews", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Femo": "review" },
    body: JSON.stringify({ face_id: Number(face.dataset.face), verdict, label, note }),
  });
  const said = await response.json();
  if (!response.ok) throw new Error(said.error);
  face.querySelector(".said").textContent = [said.verdict, said.label, said.note].filter(Boolean).join(" ");
  told.textContent = "";
}

document.addEventListener("click", (event) => {
  const verdict = event.target.dataset.verdict;
  if (!verdict) return;
  send(event.target.closest(".face"), verdict).catch((error) => {
    told.textContent = "Not written: " + error.message;
  });
});
