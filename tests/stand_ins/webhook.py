"""The token webhook that the real kube-apiserver asks who somebody is (authentication.k8s.io/v1, TokenReview)."""

import json
from typing import Callable, Optional

from serving import Reply, Request

# Gives the user, or no user and the reason; `None` where a token is of another kind.
Judge = Callable[[str], Optional[tuple[dict, str]]]


class Webhook:
    def __init__(self, judges: list[Judge]):
        self._judges = judges

    def answer(self, request: Request) -> Reply:
        review = json.loads(request.body)
        user, why = self.judge(review["spec"].get("token", ""))
        request.who = user.get("username") or why
        status = {"authenticated": True, "user": user} if user else {"authenticated": False, "error": why}
        return Reply(200, {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status})

    def judge(self, token: str) -> tuple[dict, str]:
        return next((verdict for judge in self._judges if (verdict := judge(token))), ({}, "no cloud knows this token"))

    def do_judge(self, token: str) -> dict:
        """What the webhook would say of this token."""
        user, why = self.judge(token)
        return {"user": user, "why": why}
