// Starts Swagger UI on the page's own OpenAPI document. The address comes from the page, so that no inline
// script is needed and the Content-Security-Policy can stay strict.
const root = document.getElementById("docs");

window.SwaggerUIBundle({
  dom_id: `#${root.id}`,
  url: root.dataset.openapiUrl,
  deepLinking: true,
  validatorUrl: null, // the public validator would be asked otherwise
});
