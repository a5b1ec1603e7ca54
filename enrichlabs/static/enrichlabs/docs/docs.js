"use strict";

const place = document.getElementById("docs");

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.schema,
  deepLinking: true,
  // Ask nobody else about the document.
  validatorUrl: null,
  // A key stays in the memory of the page, and ends with it.
  persistAuthorization: false,
});
