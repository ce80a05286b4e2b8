// Without this script the token is selected and copied by hand.
const field = document.getElementById("secret");
const button = document.getElementById("copy");
const said = document.getElementById("copied");

if (navigator.clipboard) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    said.textContent = "";
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied";
    } catch {
      field.select();
      said.textContent = "Not copied: the token is selected, copy it with your keyboard";
    }
  });
}
