"""How a view describes itself: with the scope that it needs. Alone in a file, because rest_framework imports it."""

from typing import Any

from drf_spectacular.openapi import AutoSchema


class Described(AutoSchema):
    def get_operation(self, *arguments: Any, **more: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*arguments, **more)
        if operation is not None:
            scope = self.view.scope if self.method == "GET" else self.view.write_scope
            operation["description"] = f"{operation.get('description', '')} Scope: {scope}.".strip()
        return operation

    def get_description(self) -> str:
        """Empty: the docstring of the base class is for those who read the program."""
        return ""

    def get_operation_id(self) -> str:
        """By the view's class: get_Datasets, post_StartExport."""
        return f"{self.method.lower()}_{type(self.view).__name__}"
