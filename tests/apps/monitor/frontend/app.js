// The page's script. The build bakes the port of its slot's API in, as front ends with rewrites do.
const apiPort = __API_PORT__;

const byId = (id) => document.getElementById(id);

// What servers are called is other people's text, so it goes in as text.
function showServers(servers) {
  byId("servers").replaceChildren(...servers.map((server) => {
    const row = document.createElement("tr");
    for (const text of [server.name, server.address, server.added_by_slot]) {
      row.insertCell().textContent = text;
    }
    return row;
  }));
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
  const login = await (await fetch("/api/login", { method: "POST", body })).json();
  byId("answer").textContent = login.error || `logged in by ${login.slot}, ${login.version}`;
  if (login.token) {
    const headers = { Authorization: `Bearer ${login.token}` };
    showServers((await (await fetch("/api/servers", { headers })).json()).servers);
  }
});

function listen() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/monitoring`);
  socket.onmessage = (event) => { byId("metrics").textContent = event.data; };
  socket.onclose = () => setTimeout(listen, 1000);
}

console.info(`built for the API on port ${apiPort}`);
listen();
