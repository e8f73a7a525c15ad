"""The interface for programs: data sets, studies, judgements, exports, jobs. Rules stand in access.py and wire.py."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError as Refusal
from django.http import FileResponse, Http404, HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from annotation import studies as study_services
from annotation.models import Dataset, Judgement, StoredImage, Study
from scoring import exports
from scoring.api import inputs, queries
from scoring.api import serializers as out
from scoring.api.access import EXPORTS, JOBS, STUDIES
from scoring.api.schema import paged
from scoring.api.wire import Api, Conflict, PageQuery, check_owner, found_or_404, page_rows, read
from webapp.jobs import services as job_services
from webapp.jobs.models import Job


def _page(kind: type[out.Output], rows: Any, following: str | None, request: Request) -> Response:
    """One page: the rows, and the address of the next, null on the last one."""
    made = kind(rows, many=True, context={"request": request}).data
    return Response({"results": made, "next": following})


def _dataset(uid: UUID) -> Dataset:
    found: Dataset = found_or_404(queries.datasets(), uid)
    return found


def _study(uid: UUID) -> Study:
    found: Study = found_or_404(queries.studies(), uid)
    return found


# Data sets ----------------------------------------------------------------------------------------------------------


class Datasets(Api):
    @extend_schema(parameters=[PageQuery], responses=paged(out.Dataset), summary="List data sets", tags=["Data sets"])
    def get(self, request: Request) -> Response:
        rows, following = page_rows(request, queries.datasets(), read(PageQuery, request.query_params.dict()))
        return _page(out.Dataset, queries.with_sizes(rows), following, request)


class OneDataset(Api):
    @extend_schema(responses=out.Dataset, summary="Read a data set", tags=["Data sets"])
    def get(self, request: Request, uid: UUID) -> Response:
        (found,) = queries.with_sizes([_dataset(uid)])
        return Response(out.Dataset(found).data)


class Cases(Api):
    @extend_schema(
        parameters=[inputs.CasesQuery], responses=paged(out.Case), summary="List a data set's cases", tags=["Data sets"]
    )
    def get(self, request: Request, uid: UUID) -> Response:
        query = read(inputs.CasesQuery, request.query_params.dict())
        wanted = queries.cases(_dataset(uid), query.get("task", ""), query.get("split", ""))
        return _page(out.Case, *page_rows(request, wanted, query), request)


class Candidates(Api):
    @extend_schema(
        parameters=[inputs.CandidatesQuery],
        responses=paged(out.Candidate),
        summary="List a data set's candidates",
        tags=["Data sets"],
    )
    def get(self, request: Request, uid: UUID) -> Response:
        query = read(inputs.CandidatesQuery, request.query_params.dict())
        given = (query.get("case", ""), query.get("editor", ""), query["usable"])
        return _page(out.Candidate, *page_rows(request, queries.candidates(_dataset(uid), *given), query), request)


class Image(Api):
    @extend_schema(
        responses={(200, "image/webp"): OpenApiTypes.BINARY}, summary="Take an image, for viewing", tags=["Data sets"]
    )
    def get(self, request: Request, uid: UUID) -> HttpResponse:
        found: StoredImage = found_or_404(StoredImage.objects.all(), uid)
        try:
            return HttpResponse(found.read_view(), content_type="image/webp")
        except FileNotFoundError:
            raise Http404 from None  # the row outlived its file


# Studies ------------------------------------------------------------------------------------------------------------


class Studies(Api):
    write_scope: ClassVar[str] = STUDIES

    @extend_schema(
        parameters=[inputs.StudiesQuery], responses=paged(out.Study), summary="List studies", tags=["Studies"]
    )
    def get(self, request: Request) -> Response:
        query = read(inputs.StudiesQuery, request.query_params.dict())
        wanted = queries.studies(query.get("dataset", ""), query.get("state", ""))
        rows, following = page_rows(request, wanted, query)
        return _page(out.Study, queries.with_progress(rows), following, request)

    @extend_schema(
        request=inputs.StudyInput,
        responses={201: out.StudyWhole},
        summary="Make a study from a preset",
        description="What is left out keeps the preset's value.",
        tags=["Studies"],
    )
    def post(self, request: Request) -> Response:
        made = inputs.make_study(read(inputs.StudyInput, request.data), request.user)
        (found,) = queries.with_progress([_study(made.uid)])
        return Response(out.StudyWhole(found).data, status=201)


class OneStudy(Api):
    write_scope: ClassVar[str] = STUDIES

    @extend_schema(responses=out.StudyWhole, summary="Read a study", tags=["Studies"])
    def get(self, request: Request, uid: UUID) -> Response:
        (found,) = queries.with_progress([_study(uid)])
        return Response(out.StudyWhole(found).data)

    @extend_schema(
        request=inputs.StateInput, responses=out.StudyWhole, summary="Open, pause or close a study", tags=["Studies"]
    )
    def patch(self, request: Request, uid: UUID) -> Response:
        found = _study(uid)
        check_owner(request, found)
        study_services.set_state(study=found, state=read(inputs.StateInput, request.data)["state"])
        (found,) = queries.with_progress([found])
        return Response(out.StudyWhole(found).data)


class Members(Api):
    write_scope: ClassVar[str] = STUDIES

    @extend_schema(
        parameters=[PageQuery], responses=paged(out.Member), summary="List a study's annotators", tags=["Studies"]
    )
    def get(self, request: Request, uid: UUID) -> Response:
        query = read(PageQuery, request.query_params.dict())
        return _page(out.Member, *page_rows(request, queries.members(_study(uid)), query), request)

    @extend_schema(
        request=inputs.MemberInput, responses={201: out.Member}, summary="Let somebody take part", tags=["Studies"]
    )
    def post(self, request: Request, uid: UUID) -> Response:
        found = _study(uid)
        check_owner(request, found)
        user = read(inputs.MemberInput, request.data)["username"]
        return Response(out.Member(study_services.add_member(study=found, user=user)).data, status=201)


class OneMember(Api):
    write_scope: ClassVar[str] = STUDIES

    @extend_schema(
        responses={204: None},
        summary="Take somebody off a study",
        description="What they judged stays.",
        tags=["Studies"],
    )
    def delete(self, request: Request, uid: UUID, member: UUID) -> Response:
        found = _study(uid)
        check_owner(request, found)
        row = found_or_404(queries.members(found), member)
        study_services.remove_member(study=found, user=row.user)
        return Response(status=204)


class Results(Api):
    heavy: ClassVar[bool] = True

    @extend_schema(responses=out.Results, summary="Figures of a study", tags=["Studies"])
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(queries.results_of(_study(uid)))


class Judgements(Api):
    @extend_schema(
        parameters=[inputs.JudgementsQuery],
        responses=paged(out.Judgement, notice=True),
        summary="List a study's judgements, with their marks",
        tags=["Judgements"],
    )
    def get(self, request: Request, uid: UUID) -> Response:
        found = _study(uid)
        query = read(inputs.JudgementsQuery, request.query_params.dict())
        response = _page(out.Judgement, *page_rows(request, queries.judgements(found, query), query), request)
        response.data["notice"] = found.notice
        return response


class OneJudgement(Api):
    @extend_schema(responses=out.Judgement, summary="Read a judgement", tags=["Judgements"])
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(out.Judgement(found_or_404(queries.whole(Judgement.objects.all()), uid)).data)


# Exports and jobs ---------------------------------------------------------------------------------------------------


class Exports(Api):
    scope: ClassVar[str] = EXPORTS

    @extend_schema(
        parameters=[inputs.ExportsQuery], responses=paged(out.Export), summary="List exports", tags=["Exports"]
    )
    def get(self, request: Request) -> Response:
        query = read(inputs.ExportsQuery, request.query_params.dict())
        rows, following = page_rows(request, queries.jobs("export", query.get("state", "")), query)
        return _page(out.Export, queries.with_notices(rows), following, request)


class StartExport(Api):
    write_scope: ClassVar[str] = EXPORTS

    @extend_schema(
        request=inputs.ExportInput, responses={202: out.Export}, summary="Start an export of a study", tags=["Exports"]
    )
    def post(self, request: Request, uid: UUID) -> Response:
        found = _study(uid)
        table, kind, options = inputs.export_options(read(inputs.ExportInput, request.data))
        job = exports.start_export(study=found, table=table, format=kind, options=options, by=request.user)
        (job,) = queries.with_notices([job])
        return Response(out.Export(job, context={"request": request}).data, status=202)


class OneExport(Api):
    scope: ClassVar[str] = EXPORTS

    @extend_schema(responses=out.Export, summary="Read the state of an export", tags=["Exports"])
    def get(self, request: Request, uid: UUID) -> Response:
        (job,) = queries.with_notices([found_or_404(queries.jobs("export"), uid)])
        return Response(out.Export(job, context={"request": request}).data)


class ExportFile(Api):
    scope: ClassVar[str] = EXPORTS

    @extend_schema(
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            409: OpenApiResponse(out.Error, description="There is no file yet, or no longer."),
        },
        summary="Take the file of an export",
        tags=["Exports"],
    )
    def get(self, request: Request, uid: UUID) -> Any:
        job: Job = found_or_404(queries.jobs("export"), uid)
        path = exports.file_of(job)
        if path is None:
            words = _("There is no file: the export is in the state “%(state)s”. %(message)s")
            raise Conflict(words % {"state": job.state, "message": job.message})
        return FileResponse(path.open("rb"), as_attachment=True, filename=path.name, content_type="application/zip")


class Jobs(Api):
    @extend_schema(parameters=[inputs.JobsQuery], responses=paged(out.Job), summary="List jobs", tags=["Jobs"])
    def get(self, request: Request) -> Response:
        query = read(inputs.JobsQuery, request.query_params.dict())
        wanted = queries.jobs(query.get("kind", ""), query.get("state", ""))
        return _page(out.Job, *page_rows(request, wanted, query), request)


class OneJob(Api):
    @extend_schema(responses=out.Job, summary="Read a job", tags=["Jobs"])
    def get(self, request: Request, uid: UUID) -> Response:
        return Response(out.Job(found_or_404(queries.jobs(), uid)).data)


class CancelJob(Api):
    write_scope: ClassVar[str] = JOBS

    @extend_schema(
        request=None,
        responses={202: out.Job, 409: OpenApiResponse(out.Error, description="It has ended already.")},
        summary="Ask a job to stop",
        description="It saves its place first.",
        tags=["Jobs"],
    )
    def post(self, request: Request, uid: UUID) -> Response:
        job: Job = found_or_404(queries.jobs(), uid)
        check_owner(request, job)
        try:
            job = job_services.cancel(job=job)
        except Refusal as error:
            raise Conflict(" ".join(error.messages)) from None
        return Response(out.Job(job).data, status=202)
