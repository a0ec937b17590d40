# The same words as ./dev, for those whose fingers say make.
WORDS := demo test check setup coverage lock
.PHONY: help chaos $(WORDS)

help:
	@./dev help

$(WORDS):
	@./dev $@ $(ARGS)

chaos:
	@./dev chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)
