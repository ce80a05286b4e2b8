"""Who and what the embedded organization is made of."""

from __future__ import annotations

from typing import Final

FIRST: Final = (
    "Ana", "Björn", "Chidi", "Dalia", "Emeka", "Farah", "Goran", "Hana", "Ivo", "Jing", "Kofi",
    "Lea", "Mateo", "Noor", "Olga", "Priya", "Quentin", "Rosa", "Santiago", "Tuva", "Ulrich",
    "Vera", "Wanjiru", "Xenia", "Yusuf", "Zofia",
)  # fmt: skip
LAST: Final = (
    "Almeida", "Bakker", "Chen", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito",
    "Jovanović", "Kowalska", "Lindqvist", "Mensah", "Nakamura", "Okafor", "Petrov", "Quiroga",
    "Rossi", "Silva", "Tanaka", "Usman", "Varga", "Weber", "Yilmaz", "Zhou",
)  # fmt: skip
ASCII: Final = str.maketrans("öíćúá", "oicua")
SERVICES: Final = ("svc-build", "svc-deploy", "svc-nuget", "svc-terraform", "svc-backup")
TOKENS: Final = (
    ("ci-build-agent", "vso.build_execute vso.code"),
    ("terraform", "vso.code_manage vso.project_manage vso.serviceendpoint_manage"),
    ("laptop git", "vso.code_write"),
    ("nuget feed", "vso.packaging"),
    ("release pipeline", "vso.release_execute vso.build"),
    ("npm publish", "vso.packaging_write"),
    ("power bi export", "vso.analytics vso.work"),
    ("wiki sync", "vso.wiki_write"),
    ("agent pool registration", "vso.agentpools_manage"),
    ("test results upload", "vso.test_write"),
    ("migration script", "app_token"),
    ("azure-pipelines-deploy", "vso.build_execute vso.environment_manage vso.variablegroups_read"),
)
LIFETIMES_DAYS: Final = (30, 60, 90, 90, 180, 365, 365)
