"""X API v2 without its sockets: applies its rules to a request, in order."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from airflow_provider_engagement.simulator.clock import Clock
from airflow_provider_engagement.simulator.entities import App
from airflow_provider_engagement.simulator.http_messages import HttpRequest
from airflow_provider_engagement.simulator.signature import Identity, InvalidCredentials
from airflow_provider_engagement.simulator.tweet_figures import TweetFigures
from airflow_provider_engagement.simulator.visible_counts import VisibleCounts
from airflow_provider_engagement.simulator.world import World
from airflow_provider_engagement.simulator.x_api.answer import Answer
from airflow_provider_engagement.simulator.x_api.billed_reads import Ledger
from airflow_provider_engagement.simulator.x_api.lookups import own_user, tweets_by_id, users_by_id, users_by_name
from airflow_provider_engagement.simulator.x_api.problem_bodies import (
    APP_AUTHENTICATION,
    USER_AUTHENTICATION,
    Problems,
    RejectedByXApi,
)
from airflow_provider_engagement.simulator.x_api.query_parameters import parse_query
from airflow_provider_engagement.simulator.x_api.rate_windows import RateWindows
from airflow_provider_engagement.simulator.x_api.reader import Reader
from airflow_provider_engagement.simulator.x_api.routes import X_API_PATH, Route, find_route
from airflow_provider_engagement.simulator.x_api.spelling import Spelling, spelling_of
from airflow_provider_engagement.simulator.x_api.usage import account_id, usage_of_app
from airflow_provider_engagement.simulator.x_api.user_timeline import tweets_of_user
from airflow_provider_engagement.simulator.x_api.x_switches import XApiSwitches

_ENDPOINTS: Final[dict[str, Callable[[Reader, dict[str, Any]], Answer]]] = {
    "tweets": tweets_by_id,
    "users_by": users_by_name,
    "users": users_by_id,
    "me": own_user,
}


class SimulatedXApi:
    """X API v2.

    :param world: the data behind the API.
    :param switches: the behavior where the documentation leaves it open. You can assign others.
    :param clock: the data clock, which decides ages.
    :param rate_clock: the clock of rate limits and of the ledger.
    :param visible_counts: a function that returns the counts that both APIs show now.
    """

    def __init__(
        self,
        world: World,
        *,
        switches: XApiSwitches,
        clock: Clock,
        rate_clock: Clock,
        visible_counts: Callable[[], VisibleCounts],
    ) -> None:
        self.world = world
        self.switches = switches
        self.windows = RateWindows(rate_clock)
        self.ledger = Ledger(rate_clock)
        self._clock = clock
        self._rate_clock = rate_clock
        self._visible_counts = visible_counts
        self._initial_switches = switches

    def reset(self) -> None:
        """Reset switches, rate limits and the ledger."""
        self.switches = self._initial_switches
        self.windows.reset()
        self.ledger.clear()

    def serves(self, path: str) -> bool:
        """Return whether a path belongs to this API, even if nothing is there."""
        return path.startswith(X_API_PATH)

    def figures(self) -> TweetFigures:
        """Return the metrics that the API shows now."""
        return TweetFigures(self.world, self._visible_counts())

    def answer(
        self, request: HttpRequest, identity: Identity | InvalidCredentials | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        """Return the body of a successful response, and add the rate limit headers to ``headers``.

        :raises RejectedByXApi: the API rejects the request.
        """
        problems = Problems(self.switches)
        found = find_route(request.path)
        if found is None:
            # A path that is documented but not rolled out has an empty 404.
            raise RejectedByXApi(404, b"")
        if request.method != "GET":
            raise problems.method_not_allowed()
        if identity is None or isinstance(identity, InvalidCredentials):
            raise problems.unauthorized()
        route, path_id = found
        self._check_contract(route, identity)
        state = self.windows.spend(route, identity)
        headers.update(state.headers)
        if not state.allowed:
            raise problems.rate_limited()
        query, errors = parse_query(request.query, route.parameters, required=route.required)
        if path_id is not None and not (path_id.isascii() and path_id.isdigit() and len(path_id) <= 19):
            message = f"The `id` query parameter value [{path_id}] does not match [^[0-9]{{1,19}}$]"
            errors.append({"parameters": {"id": [path_id]}, "message": message})
        if errors:
            raise problems.invalid_request(errors)
        self._check_budget(route, identity.app)
        if route.name == "usage":
            return usage_of_app(identity.app, self.ledger, query, self._rate_clock.now()).body
        reader = self.reader(identity, spelling_of(query))
        if path_id is not None:
            answer = tweets_of_user(reader, query, path_id)
        else:
            answer = _ENDPOINTS[route.name](reader, query)
        self._bill(answer, identity, listed=path_id)
        return answer.body

    def reader(self, identity: Identity, spelling: Spelling = Spelling.TWEET) -> Reader:
        """Return what somebody can read now.

        :param identity: the app and the user.
        :param spelling: the vocabulary.
        """
        return Reader(
            world=self.world,
            figures=self.figures(),
            identity=identity,
            now=self._clock.now(),
            switches=self.switches,
            spelling=spelling,
        )

    def _check_contract(self, route: Route, identity: Identity) -> None:
        problems = Problems(self.switches)
        if identity.app.x_tier == "none":
            raise problems.not_enrolled(account_id(identity.app), self.windows.end_of_window())
        if identity.handle is None and route.per_app is None:
            raise problems.unsupported_authentication(APP_AUTHENTICATION, USER_AUTHENTICATION)
        if identity.handle is not None and route.per_user is None:
            raise problems.unsupported_authentication(identity.scheme, (APP_AUTHENTICATION,))

    def _check_budget(self, route: Route, app: App) -> None:
        """Reject a request that would cost money if there is none, or if the month's Tweets are used up."""
        problems = Problems(self.switches)
        if app.x_tier != "ppu" or route.name == "usage":
            return
        if app.x_credit is not None and self.ledger.cost(app) >= Decimal(str(app.x_credit)):
            raise problems.credits_depleted(account_id(app))
        reads_tweets, cap = route.name in ("tweets", "user_tweets"), app.x_monthly_tweets
        if reads_tweets and cap is not None and self.ledger.tweets_of_month(app) >= cap:
            raise problems.usage_capped(account_id(app))

    def _bill(self, answer: Answer, identity: Identity, *, listed: str | None) -> None:
        """Bill what a response contains. The owner of the app pays less for listing the owner's Tweets."""
        app, deduplicated = identity.app, self.switches.deduplicated
        user_id = None if identity.handle is None else identity.handle.user_id
        is_own = listed is not None and listed == user_id == app.owner_id
        self.ledger.add(app, "own_tweet" if is_own else "tweet", answer.tweets, deduplicated=deduplicated)
        self.ledger.add(app, "user", answer.users, deduplicated=deduplicated)
        if self.switches.bill_includes:
            self.ledger.add(app, "tweet", answer.included_tweets, deduplicated=deduplicated)
            self.ledger.add(app, "user", answer.included_users, deduplicated=deduplicated)
