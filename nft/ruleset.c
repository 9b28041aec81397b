// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset.h"
#include "batch.h"
#include "monitor.h"
#include "rule.h"
#include "standing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#define TRIES 16	/* when others change the ruleset between our look and our batch */

/* A kernel counter that may begin again at zero, as one that only grows. */
struct tally {
	uint64_t before;	/* counted by those that are gone */
	uint64_t seen;		/* last value of the present one */
};

struct ruleset {
	struct nl nl;
	struct ruleset_config config;
	char prefix[128], untracked_prefix[128];
	struct monitor *monitor;
	struct tally matched, limited;
	uint32_t log_rules;
	bool silent;		/* no rules on purpose: ruleset_silence() */
};

static int settle(struct ruleset *r, const struct ruleset_config *config)
{
	struct rule rules[RULES_MAX];
	unsigned int count;
	uint32_t generation;
	int one = 1;

	/* Without the request repeated in every error, all answers to a batch fit the buffer. */
	if (mnl_socket_setsockopt(r->nl.socket, NETLINK_CAP_ACK, &one, sizeof(one)) < 0 &&
	    errno != ENOPROTOOPT)
		return -errno;
	r->config = *config;
	strncpy(r->prefix, config->prefix, sizeof(r->prefix) - 1);
	r->config.prefix = r->prefix;
	strncpy(r->untracked_prefix, config->untracked_prefix, sizeof(r->untracked_prefix) - 1);
	r->config.untracked_prefix = r->untracked_prefix;
	count = rule_list(config, rules);
	for (unsigned int i = 0; i < count; i++)
		r->log_rules += !rules[i].over_limit;
	return batch_generation(&r->nl, &generation);
}

int ruleset_open(struct ruleset **out, const struct ruleset_config *config)
{
	struct ruleset *r;
	int err = rule_config_check(config);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = nl_open(&r->nl, NETLINK_NETFILTER, 0, BATCH_ANSWER_BYTES);
	if (!err)
		err = settle(r, config);
	if (err) {
		ruleset_close(r);
		return err;
	}
	*out = r;
	return 0;
}

/* Through a second descriptor of the same socket: closing that one leaves the caller's. */
static int adopt_copy(struct ruleset *r, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), err;

	if (copy < 0)
		return -errno;
	err = nl_adopt(&r->nl, copy, NETLINK_NETFILTER, BATCH_ANSWER_BYTES);
	if (err) {
		close(copy);
		return err;
	}
	/* Answers to questions of the socket's former user. */
	do {
		err = (int)nl_receive(&r->nl);
	} while (err > 0 || err == -ENOBUFS || err == -EMSGSIZE);
	return err;
}

int ruleset_adopt(struct ruleset **out, const struct ruleset_config *config, int fd)
{
	struct ruleset *r;
	int err = rule_config_check(config);

	if (err)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	err = adopt_copy(r, fd);
	if (!err)
		err = settle(r, config);
	if (err) {
		ruleset_close(r);
		return err;
	}
	close(fd);
	*out = r;
	return 0;
}

static enum ruleset_state state_of(const struct standing *standing)
{
	if (!standing->exists)
		return RULESET_ABSENT;
	if (!standing->marked)
		return RULESET_FOREIGN;
	if (standing->owner_portid)
		return RULESET_OWNED;
	return standing->as_configured ? RULESET_STANDS : RULESET_ALTERED;
}

int ruleset_inspect(struct ruleset *r, enum ruleset_state *state, uint32_t *owner_portid)
{
	struct standing standing;
	int err = standing_read(&r->nl, &r->config, &standing);

	if (err)
		return err;
	*state = state_of(&standing);
	if (owner_portid)
		*owner_portid = standing.owner_portid;
	return 0;
}

static int set_comment(struct nftnl_table *table)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(256);

	if (!udata)
		return -ENOMEM;
	nftnl_udata_put_strz(udata, NFTNL_UDATA_TABLE_COMMENT, RULE_TABLE_COMMENT);
	nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(udata),
			     nftnl_udata_buf_len(udata));
	nftnl_udata_buf_free(udata);
	return 0;
}

static int put_table(struct batch *batch, uint16_t type, uint16_t nl_flags, uint32_t table_flags)
{
	struct nlmsghdr *nlh = batch_message(batch, type, NFPROTO_INET, nl_flags);
	struct nftnl_table *table = nftnl_table_alloc();
	int err = -ENOMEM;

	if (!nlh || !table)
		goto out;
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, RULESET_TABLE);
	err = 0;
	if (type == NFT_MSG_NEWTABLE) {
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, table_flags);
		err = set_comment(table);
	}
	if (err)
		goto out;
	nftnl_table_nlmsg_build_payload(nlh, table);
	batch_message_end(batch, nlh);
out:
	if (table)
		nftnl_table_free(table);
	return err;
}

static int put_counter(struct batch *batch, const char *name)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWOBJ, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_obj *obj = nftnl_obj_alloc();
	int err = -ENOMEM;

	if (!nlh || !obj)
		goto out;
	nftnl_obj_set_str(obj, NFTNL_OBJ_TABLE, RULESET_TABLE);
	nftnl_obj_set_str(obj, NFTNL_OBJ_NAME, name);
	nftnl_obj_set_u32(obj, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_set_u64(obj, NFTNL_OBJ_CTR_PKTS, 0);
	nftnl_obj_set_u64(obj, NFTNL_OBJ_CTR_BYTES, 0);
	nftnl_obj_nlmsg_build_payload(nlh, obj);
	batch_message_end(batch, nlh);
	err = 0;
out:
	if (obj)
		nftnl_obj_free(obj);
	return err;
}

static int put_chain(struct batch *batch, const struct hook *hook)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWCHAIN, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_EXCL);
	struct nftnl_chain *chain = nftnl_chain_alloc();
	int err = -ENOMEM;

	if (!nlh || !chain)
		goto out;
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, RULESET_TABLE);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, hook->name);
	nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter");
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook->number);
	nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, HOOK_PRIORITY);
	nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	batch_message_end(batch, nlh);
	err = 0;
out:
	if (chain)
		nftnl_chain_free(chain);
	return err;
}

static int put_rule(struct batch *batch, const struct ruleset_config *config,
		    const struct rule *rule)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_NEWRULE, NFPROTO_INET,
					     NLM_F_CREATE | NLM_F_APPEND);
	struct nftnl_rule *built = rule_build(config, rule);

	if (!nlh || !built) {
		if (built)
			nftnl_rule_free(built);
		return -ENOMEM;
	}
	nftnl_rule_nlmsg_build_payload(nlh, built);
	batch_message_end(batch, nlh);
	nftnl_rule_free(built);
	return 0;
}

static int put_everything(struct batch *batch, const struct ruleset_config *config, bool owned)
{
	struct rule rules[RULES_MAX];
	unsigned int count = rule_list(config, rules);
	int err = put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL,
			    owned ? STANDING_FLAG_OWNER : 0);

	if (!err)
		err = put_counter(batch, RULE_COUNTER_MATCHED);
	if (!err)
		err = put_counter(batch, RULE_COUNTER_LIMITED);
	for (size_t h = 0; h < HOOK_COUNT && !err; h++)
		if (config->hooks & hooks[h].flag)
			err = put_chain(batch, &hooks[h]);
	for (unsigned int i = 0; i < count && !err; i++)
		err = put_rule(batch, config, &rules[i]);
	return err;
}

/* What a refusal of this message means. */
static int meaning(int err, uint16_t type, bool owned)
{
	if (type == NFT_MSG_DELTABLE && err == -EPERM)
		return -EBUSY;
	/* A flag the kernel does not know: EINVAL before Linux 5.12, EOPNOTSUPP in principle. */
	if (type == NFT_MSG_NEWTABLE && owned && err == -EINVAL)
		return -EOPNOTSUPP;
	if (type == NFT_MSG_NEWTABLE || type == 0)
		return err;
	/* Something in it (inet, log, ct, limit, named counters) is not built into this kernel. */
	if (err == -ENOENT || err == -EOPNOTSUPP || err == -EAFNOSUPPORT)
		return -EPROTONOSUPPORT;
	return err;
}

/* 0: the table is ours to replace or absent. */
static int may_touch(const struct ruleset *r, const struct standing *standing)
{
	switch (state_of(standing)) {
	case RULESET_FOREIGN:
		return -EEXIST;
	case RULESET_OWNED:
		return standing->owner_portid == r->nl.portid ? 0 : -EBUSY;
	case RULESET_ABSENT:
	case RULESET_STANDS:
	case RULESET_ALTERED:
		break;
	}
	return 0;
}

enum goal { GOAL_REMOVE, GOAL_SILENCE, GOAL_UNOWNED, GOAL_OWNED };

/* DELRULE that names neither chain nor handle: all rules of the table. */
static int put_flush(struct batch *batch)
{
	struct nlmsghdr *nlh = batch_message(batch, NFT_MSG_DELRULE, NFPROTO_INET, 0);

	if (!nlh)
		return -ENOMEM;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, RULESET_TABLE);
	batch_message_end(batch, nlh);
	return 0;
}

static int try_change(struct ruleset *r, enum goal goal)
{
	struct standing standing;
	struct batch batch;
	uint32_t generation;
	int err = batch_generation(&r->nl, &generation);

	if (!err)
		err = standing_read(&r->nl, &r->config, &standing);
	if (!err)
		err = may_touch(r, &standing);
	if (err || (goal <= GOAL_SILENCE && !standing.exists))
		return err;
	err = batch_init(&batch, &r->nl, generation);
	if (err)
		return err;
	if (goal == GOAL_SILENCE)
		err = put_flush(&batch);
	else if (standing.exists)
		err = put_table(&batch, NFT_MSG_DELTABLE, 0, 0);
	if (!err && goal > GOAL_SILENCE)
		err = put_everything(&batch, &r->config, goal == GOAL_OWNED);
	if (!err) {
		err = batch_send(&batch);
		err = meaning(err, batch.failed_type, goal == GOAL_OWNED);
	}
	batch_fini(&batch);
	return err;
}

static int change(struct ruleset *r, enum goal goal)
{
	int err = -ERESTART;

	for (int i = 0; i < TRIES && err == -ERESTART; i++)
		err = try_change(r, goal);
	return err == -ERESTART ? -EAGAIN : err;
}

static void tally_begin_again(struct tally *tally)
{
	tally->before += tally->seen;
	tally->seen = 0;
}

static uint64_t tally_add(struct tally *tally, uint64_t value)
{
	if (value < tally->seen)
		tally_begin_again(tally);
	tally->seen = value;
	return tally->before + value;
}

int ruleset_create(struct ruleset *r, bool owned)
{
	int err = change(r, owned ? GOAL_OWNED : GOAL_UNOWNED);

	if (err)
		return err;
	r->silent = false;
	tally_begin_again(&r->matched);
	tally_begin_again(&r->limited);
	return 0;
}

int ruleset_silence(struct ruleset *r)
{
	int err = change(r, GOAL_SILENCE);

	r->silent = !err;
	return err;
}

int ruleset_remove(struct ruleset *r)
{
	return change(r, GOAL_REMOVE);
}

struct counter {
	uint64_t packets;
	uint32_t use;		/* rules that count with it */
};

static int read_counter(const struct nlmsghdr *nlh, void *data)
{
	struct counter *counter = data;
	struct nftnl_obj *obj = nftnl_obj_alloc();
	int err = 0;

	if (!obj)
		return -ENOMEM;
	if (nftnl_obj_nlmsg_parse(nlh, obj) < 0) {
		err = -EBADMSG;
	} else {
		counter->packets = nftnl_obj_get_u64(obj, NFTNL_OBJ_CTR_PKTS);
		counter->use = nftnl_obj_get_u32(obj, NFTNL_OBJ_USE);
	}
	nftnl_obj_free(obj);
	return err;
}

static int ask_counter(struct ruleset *r, const char *name, uint32_t rules, uint64_t *packets)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETOBJ, NFPROTO_INET, 0, 0);
	struct counter counter = { 0 };
	int err;

	mnl_attr_put_strz(nlh, NFTA_OBJ_TABLE, RULESET_TABLE);
	mnl_attr_put_strz(nlh, NFTA_OBJ_NAME, name);
	mnl_attr_put_u32(nlh, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
	err = nl_request(&r->nl, nlh, read_counter, &counter);
	if (!err && counter.use < rules)
		err = -ENOENT;
	*packets = counter.packets;
	return err;
}

int ruleset_counters(struct ruleset *r, uint64_t *matched, uint64_t *limited)
{
	uint32_t log_rules = r->silent ? 0 : r->log_rules;
	uint32_t limit_rules = r->config.limit_per_second ? log_rules : 0;
	uint64_t raw_matched, raw_limited;
	int err = ask_counter(r, RULE_COUNTER_MATCHED, log_rules, &raw_matched);

	if (!err)
		err = ask_counter(r, RULE_COUNTER_LIMITED, limit_rules, &raw_limited);
	if (err)
		return err;
	*matched = tally_add(&r->matched, raw_matched);
	*limited = tally_add(&r->limited, raw_limited);
	return 0;
}

int ruleset_watch(struct ruleset *r)
{
	int err = r->monitor ? 0 : monitor_open(&r->monitor, r->nl.portid);

	return err ? err : monitor_fd(r->monitor);
}

int ruleset_read_change(struct ruleset *r, struct ruleset_change *change_out)
{
	return r->monitor ? monitor_read(r->monitor, change_out) : 0;
}

int ruleset_fd(const struct ruleset *r)
{
	return nl_fd(&r->nl);
}

void ruleset_close(struct ruleset *r)
{
	if (!r)
		return;
	monitor_close(r->monitor);
	nl_close(&r->nl);
	free(r);
}
