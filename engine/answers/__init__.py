"""What a provider's answer is about, and what it means: one classifier for SMTP replies, HTTP answers, delivery reports
(DSNs) and the events that providers report.

The rules are data (`rules/*.toml`): patterns on code, enhanced status and text lead to a scope and a meaning, and each
rule names its source. A code is only a default: rules that read a provider's words come first. `docs/answers.md` is
made from the rules (`page`).
"""
