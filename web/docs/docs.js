// The viewer takes the document's relative server for a path of this host; a proxy may serve it under one.
const here = new URL(".", location.href).href.replace(/\/$/, "");
const viewer = document.querySelector("rapi-doc");
viewer.setAttribute("server-url", here);
viewer.setAttribute("default-api-server", here);
