"""The market page that the gateway serves: TypeScript in ``src``, and what looks at it in a browser."""
