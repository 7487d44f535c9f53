// One key for each decision: l link, k keep apart, p postpone, n note; Escape leaves the note.
document.addEventListener("keydown", (event) => {
  const note = document.getElementById("review-note");
  if (event.target === note && event.key === "Escape") {
    note.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
    return;
  }
  if (event.key === "n" && note) {
    note.focus();
    event.preventDefault();
    return;
  }
  const button = document.querySelector(`#review-form button[data-key="${CSS.escape(event.key)}"]`);
  if (button) {
    event.preventDefault();
    button.click();
  }
});
