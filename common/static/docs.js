// Starts Swagger UI on the page's own OpenAPI document. The address comes from the page, so that no inline
// script is needed and the Content-Security-Policy can stay strict.
// Swagger UI has dark colours, but leaves it to the page to ask for them.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const root = document.getElementById("docs");

window.SwaggerUIBundle({
  dom_id: `#${root.id}`,
  url: root.dataset.openapiUrl,
  deepLinking: true,
  validatorUrl: null, // the public validator would be asked otherwise
});
