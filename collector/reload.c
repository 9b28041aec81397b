// SPDX-License-Identifier: GPL-2.0-or-later
#include "reload.h"

#include "log.h"
#include "setting.h"
#include "sieve.h"

#include <errno.h>
#include <string.h>

static void keep_what_is_fixed(struct options *fresh, const struct options *options)
{
	for (unsigned int i = 0; i < setting_count; i++) {
		if (settings[i].fixed && setting_keep(&settings[i], fresh, options))
			log_warning("%s cannot change while running: restart for that",
				    settings[i].name);
	}
}

/* A run that began with starts alone does not follow what becomes of connections. */
static void keep_to_starts(const struct collector *c, struct options *fresh)
{
	if (!c->join.config.starts_only || !collector_follows_ends(fresh))
		return;
	log_warning("%s cannot change while running, as this run follows no ends: restart for that",
		    fresh->events_end ? "events" : "final");
	fresh->events_start = true;
	fresh->events_end = fresh->final = false;
}

static int change_records(struct collector *c, const struct options *options)
{
	struct record_config config;

	collector_record_config(c, options, &config);
	return record_change(c->record, &config);
}

/* Only if there is something to change: a limit in the rules begins anew with them. */
static int change_rules(struct collector *c, const struct options *options,
			const struct options *before)
{
	return filter_equal(&options->filter, &before->filter) ? 0 : sieve_put(c, options);
}

/* The outputs last: they are what cannot be taken back. */
static int change(struct collector *c, const struct options *fresh)
{
	struct limit_config limit;
	char error[256];
	int err = collector_want_packets(c, fresh);

	if (!err)
		err = change_records(c, fresh);
	if (err) {
		log_error("reload refused: %s", collector_record_error(err));
		return err;
	}
	err = change_rules(c, fresh, c->options);
	if (err) {
		log_error("reload refused: putting filters into the rules: %s", strerror(-err));
		change_records(c, c->options);
		return err;
	}
	err = sinks_change(c->sinks, fresh->outputs, fresh->output_count, error, sizeof(error));
	if (err) {
		log_error("reload refused: %s", error);
		change_records(c, c->options);
		change_rules(c, c->options, fresh);
		return err;
	}
	collector_limit_config(fresh, &limit);
	return limit_change(c->limit, &limit);
}

void reload(struct collector *c, struct options *options)
{
	struct options fresh, before;
	char error[512];
	int err;

	sinks_reopen(c->sinks);
	err = options_read(&fresh, options->argc, options->argv, error, sizeof(error));
	if (err < 0) {
		log_error("reload refused: %s", err == -EINVAL ? error : strerror(-err));
		options_free(&fresh);
		return;
	}
	keep_what_is_fixed(&fresh, options);
	keep_to_starts(c, &fresh);
	if (change(c, &fresh)) {
		options_free(&fresh);
		return;
	}
	before = *options;
	*options = fresh;
	options_free(&before);
	log_set_level((enum log_level)options->log_level);
	log_info("configuration read again");
}
