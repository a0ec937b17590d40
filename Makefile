# The same words as ./dev, for those whose fingers say make.
WORDS := demo test check setup coverage lock
.PHONY: help $(WORDS)

help:
	@./dev help

$(WORDS):
	@./dev $@ $(ARGS)
