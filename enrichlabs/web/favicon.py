"""The icon that browsers request by themselves."""

from django.http import HttpRequest, HttpResponse

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="3" fill="#417690"/>'
    '<path d="M4 4h8v2H6v1.5h5v2H6V11h6v2H4z" fill="#fff"/></svg>'
)
MAX_AGE_SECONDS = 86400


def favicon(request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        ICON, "image/svg+xml", headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"}
    )
