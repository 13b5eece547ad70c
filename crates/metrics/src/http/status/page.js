// Exchanges the table every few seconds while somebody looks at it. Without this file the page reloads itself.
const main = document.querySelector("main");

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href);
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      main.replaceChildren(...page.querySelector("main").childNodes);
      main.classList.remove("stale");
    } catch {
      main.classList.add("stale");
    }
  }
  setTimeout(refresh, 5000);
}

setTimeout(refresh, 5000);
