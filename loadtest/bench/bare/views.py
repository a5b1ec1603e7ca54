"""The work of our API, written in ten minutes: once in bare Django, once with REST framework."""

import json
from typing import Any

import redis
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from loadtest.bench.bare.models import Job

stream = redis.Redis.from_url(settings.REDIS_URL)


@csrf_exempt
def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


@csrf_exempt
def post(request: HttpRequest) -> JsonResponse:
    given = json.loads(request.body)
    job = Job.objects.create(vendor=given["vendor"], name=given["name"], input=given)
    stream.xadd(f"bare:{job.vendor}", {"job": job.id})
    return JsonResponse({"request_id": job.id, "status": job.status}, status=202)


def show(request: HttpRequest, job_id: str) -> JsonResponse:
    job = Job.objects.get(pk=job_id)
    return JsonResponse(
        {
            "request_id": job.id,
            "status": job.status,
            "vendor": job.vendor,
            "name": job.name,
            "attempts": job.attempt,
            "run": job.run,
            "created_at": job.created_at,
            "started_at": job.started_at,
            "finished_at": job.finished_at,
            "result": job.result,
        }
    )


class JobInput(serializers.Serializer[Any]):
    vendor = serializers.CharField(max_length=50)
    name = serializers.CharField(max_length=200)


class Jobs(APIView):
    """As in the tutorial of REST framework."""

    def post(self, request: Request) -> Response:
        given = JobInput(data=request.data)
        given.is_valid(raise_exception=True)
        job = Job.objects.create(input=request.data, **given.validated_data)
        stream.xadd(f"bare:{job.vendor}", {"job": job.id})
        return Response({"request_id": job.id, "status": job.status}, 202)
