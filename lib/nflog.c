// SPDX-License-Identifier: GPL-2.0-or-later
#include "nflog.h"
#include "nflog_batch.h"
#include "nl.h"

#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a message holds beside the packet: prefix, numbers, conntrack entry. */
#define METADATA_BYTES 4096

/* A configuration message with all its attributes. */
#define CONFIG_BYTES 256

struct nflog {
	struct nl nl;
	struct nflog_count count;
	struct nflog_config config;
};

/* The kernel's allocator rounds a batch up to the next power of two and fills what it got; a packet
 * that is larger than a batch gets one of its own (nfulnl_alloc_skb). */
static size_t receive_bytes(const struct nflog_config *config)
{
	size_t packet = config->copy_range_bytes + METADATA_BYTES;
	size_t batch = config->buffer_bytes;

	return 2 * (batch > packet ? batch : packet) + METADATA_BYTES;
}

static bool has_net_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	return data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
}

/* The kernel says EPERM for both: no privilege, and a group that is another socket's. */
static int explain_refusal(uint16_t group)
{
	uint32_t portid;

	if (!has_net_admin())
		return -EPERM;
	return nflog_group_holder(group, &portid) == 0 && portid == 0 ? -EPERM : -EBUSY;
}

/* Not with libnetfilter_log: before 1.0.2 it builds no messages, and its header hides the
 * kernel's. */
static struct nlmsghdr *put_command(void *buf, uint16_t group, uint8_t command)
{
	const struct nfulnl_msg_config_cmd cmd = { .command = command };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htobe16(group);
	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(cmd), &cmd);
	return nlh;
}

/* Everything in one message: the group never stands half configured, and flags that the kernel
 * refuses are refused before it is bound (nfulnl_recv_config). */
static int bind_group(struct nflog *n, uint16_t flags)
{
	const struct nflog_config *config = &n->config;
	const struct nfulnl_msg_config_mode mode = {
		.copy_range = htobe32(config->copy_range_bytes),
		.copy_mode = NFULNL_COPY_PACKET,
	};
	char buf[CONFIG_BYTES];
	struct nlmsghdr *nlh = put_command(buf, n->config.group, NFULNL_CFG_CMD_BIND);

	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(nlh, NFULA_CFG_NLBUFSIZ, htobe32(config->buffer_bytes));
	mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htobe32(config->queue_threshold));
	mnl_attr_put_u32(nlh, NFULA_CFG_TIMEOUT, htobe32(config->flush_timeout_10ms));
	mnl_attr_put_u16(nlh, NFULA_CFG_FLAGS, htobe16(flags));
	return nl_command(&n->nl, nlh);
}

/* The conntrack entry in the message needs CONFIG_NETFILTER_NETLINK_GLUE_CT, and on the first try
 * perhaps a module that has just been loaded: EAGAIN. */
static int configure(struct nflog *n)
{
	uint16_t with_conntrack = NFULNL_CFG_F_SEQ | NFULNL_CFG_F_CONNTRACK;
	int err = bind_group(n, with_conntrack);

	if (err == -EAGAIN)
		err = bind_group(n, with_conntrack);
	if (err == -EOPNOTSUPP || err == -EAGAIN || err == -EINVAL)
		err = bind_group(n, NFULNL_CFG_F_SEQ);
	return err == -EPERM ? explain_refusal(n->config.group) : err;
}

int nflog_group_open(struct nflog **out, const struct nflog_config *config)
{
	struct nflog *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->config = *config;
	n->count.sequence_known = true;		/* the kernel begins with 0 */
	err = nl_open(&n->nl, NETLINK_NETFILTER, 0, receive_bytes(config));
	if (!err)
		err = nl_set_receive_buffer(&n->nl, config->receive_buffer_bytes);
	if (!err)
		err = configure(n);
	if (err) {
		nflog_group_close(n);
		return err;
	}
	*out = n;
	return 0;
}

int nflog_adopt(struct nflog **out, const struct nflog_config *config, int fd)
{
	struct nflog *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->config = *config;
	err = nl_adopt(&n->nl, fd, NETLINK_NETFILTER, receive_bytes(config));
	if (err) {
		nflog_group_close(n);
		return err;
	}
	/* As the configuration has it now; smaller than wished is no reason to lose what it
	 * holds. */
	nl_set_receive_buffer(&n->nl, config->receive_buffer_bytes);
	*out = n;
	return 0;
}

bool nflog_next_sequence(const struct nflog *n, uint32_t *sequence)
{
	*sequence = n->count.next_sequence;
	return n->count.sequence_known;
}

void nflog_expect_sequence(struct nflog *n, uint32_t sequence)
{
	n->count.next_sequence = sequence;
	n->count.sequence_known = true;
}

int nflog_group_fd(const struct nflog *n)
{
	return nl_fd(&n->nl);
}

int nflog_read(struct nflog *n, unsigned int max_packets, nflog_handler *handler, void *data)
{
	unsigned int handed_on = 0;
	ssize_t len = 0, before;

	for (unsigned int reads = 0; handed_on < max_packets; reads++) {
		if (reads == max_packets)
			return max_packets;
		before = len;
		len = nl_receive(&n->nl);
		if (len == 0 || (len == -ENOBUFS && before == -ENOBUFS))
			break;	/* told twice, it is for the next time */
		if (len > 0)
			handed_on += nflog_batch(&n->count, n->nl.buf, len, handler, data);
		else if (len == -ENOBUFS)
			n->count.stats.enobufs++;
		else if (len != -EMSGSIZE)	/* the sequence shows what was in it */
			return len;
	}
	return handed_on;
}

uint32_t nflog_portid(const struct nflog *n)
{
	return n->nl.portid;
}

/* What the old binding numbered may still be queued. */
int nflog_rebind(struct nflog *n)
{
	int err = configure(n);

	if (!err)
		n->count.sequence_known = false;
	return err;
}

const struct nflog_stats *nflog_stats(const struct nflog *n)
{
	return &n->count.stats;
}

int nflog_unbind(struct nflog *n)
{
	char buf[CONFIG_BYTES];
	struct nlmsghdr *nlh = put_command(buf, n->config.group, NFULNL_CFG_CMD_UNBIND);

	return nl_send(&n->nl, nlh, nlh->nlmsg_len);
}

void nflog_group_close(struct nflog *n)
{
	if (!n)
		return;
	nl_close(&n->nl);
	free(n);
}

int nflog_group_holder(uint16_t group, uint32_t *portid)
{
	FILE *file = fopen("/proc/net/netfilter/nfnetlink_log", "re");
	unsigned int listed, holder;
	char line[128];

	if (!file)
		return -errno;
	*portid = 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%u %u", &listed, &holder) == 2 && listed == group)
			*portid = holder;
	fclose(file);
	return 0;
}
