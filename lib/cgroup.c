// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ID_LEN 64

/* One component of a path. */
struct name {
	const char *at;
	size_t len;
};

/* With ".scope" behind the ID (systemd driver) or nothing (cgroupfs). */
static const struct {
	const char *prefix, *runtime;
} by_prefix[] = {
	{ "docker-", "docker" },
	{ "libpod-payload-", "podman" },
	{ "libpod-", "podman" },
	{ "cri-containerd-", "containerd" },
	{ "nerdctl-", "containerd" },
	{ "crio-", "cri-o" },
};

static bool has_prefix(struct name n, const char *prefix)
{
	size_t len = strlen(prefix);

	return n.len >= len && memcmp(n.at, prefix, len) == 0;
}

static bool has_suffix(struct name n, const char *suffix)
{
	size_t len = strlen(suffix);

	return n.len >= len && memcmp(n.at + n.len - len, suffix, len) == 0;
}

static bool equals(struct name n, const char *text)
{
	return n.len == strlen(text) && memcmp(n.at, text, n.len) == 0;
}

static struct name without(struct name n, size_t front, size_t back)
{
	return (struct name){ n.at + front, n.len - front - back };
}

static bool is_id(struct name n)
{
	if (n.len != ID_LEN)
		return false;
	for (size_t i = 0; i < n.len; i++)
		if (!((n.at[i] >= '0' && n.at[i] <= '9') || (n.at[i] >= 'a' && n.at[i] <= 'f')))
			return false;
	return true;
}

/* Takes the last component off *path. False when nothing is left. */
static bool take_last(struct name *path, struct name *last)
{
	const char *slash;

	while (path->len && path->at[path->len - 1] == '/')
		path->len--;
	if (!path->len)
		return false;
	slash = memrchr(path->at, '/', path->len);
	*last = slash ? without(*path, slash + 1 - path->at, 0) : *path;
	path->len -= last->len;
	return true;
}

static void copy(struct name n, char out[static CGROUP_NAME_MAX])
{
	if (n.len >= CGROUP_NAME_MAX)
		n.len = 0;
	memcpy(out, n.at, n.len);
	out[n.len] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* systemd writes what a unit name must not hold as \xNN (systemd.unit(5)). */
static void copy_unescaped(struct name n, char out[static CGROUP_NAME_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < n.len; i++) {
		char c = n.at[i];

		if (n.len - i >= 4 && c == '\\' && n.at[i + 1] == 'x' &&
		    hex_digit(n.at[i + 2]) >= 0 && hex_digit(n.at[i + 3]) >= 0 &&
		    (n.at[i + 2] != '0' || n.at[i + 3] != '0')) {
			c = (char)(hex_digit(n.at[i + 2]) << 4 | hex_digit(n.at[i + 3]));
			i += 3;
		}
		out[len++] = c;
	}
	out[len] = '\0';
}

/* systemd puts '_' before a name that would clash with a file of the cgroup file system. */
static bool take_unit(struct name n, struct cgroup_place *out)
{
	static const char *const suffixes[] = {
		".service", ".scope", ".socket", ".mount", ".swap",
	};

	if (n.len && n.at[0] == '_')
		n = without(n, 1, 0);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (!has_suffix(n, suffixes[i]) || n.len == strlen(suffixes[i]))
			continue;
		copy(n, out->unit);
		return true;
	}
	return false;
}

static bool take_id(struct name id, const char *runtime, struct cgroup_place *out)
{
	if (!is_id(id))
		return false;
	copy(id, out->container_id);
	out->container_runtime = runtime;
	return true;
}

static bool take_name(struct name n, const char *runtime, struct cgroup_place *out)
{
	if (n.len >= CGROUP_NAME_MAX)
		return false;
	copy_unescaped(n, out->container_id);
	out->container_runtime = runtime;
	return true;
}

/* docker-ID.scope and its like, and kubepods-podX.slice:cri-containerd:ID. */
static bool take_prefixed(struct name n, struct cgroup_place *out)
{
	const char *colon = memrchr(n.at, ':', n.len);

	if (has_suffix(n, ".scope"))
		n = without(n, 0, strlen(".scope"));
	for (size_t i = 0; i < sizeof(by_prefix) / sizeof(by_prefix[0]); i++)
		if (has_prefix(n, by_prefix[i].prefix) &&
		    take_id(without(n, strlen(by_prefix[i].prefix), 0), by_prefix[i].runtime, out))
			return true;
	if (colon) {
		struct name head = { n.at, colon - n.at };

		if (has_suffix(head, ":cri-containerd"))
			return take_id(without(n, head.len + 1, 0), "containerd", out);
		if (has_suffix(head, ":crio"))
			return take_id(without(n, head.len + 1, 0), "cri-o", out);
		if (has_suffix(head, ":docker"))
			return take_id(without(n, head.len + 1, 0), "docker", out);
	}
	return false;
}

/* A plain ID, told by what stands above it. */
static bool take_plain(struct name n, struct name above, struct cgroup_place *out)
{
	struct name parent = { 0 }, top;

	if (!is_id(n) || !take_last(&above, &parent))
		return false;
	if (equals(parent, "docker"))
		return take_id(n, "docker", out);
	if (!has_prefix(parent, "pod"))
		return false;
	while (take_last(&above, &top))
		if (equals(top, "kubepods") || equals(top, "kubepods.slice"))
			return take_id(n, "containerd", out);
	return false;
}

/* /lxc.payload.NAME, /lxc.payload/NAME, /lxc/NAME, libvirt's machine-lxc\x2dN\x2dNAME.scope. */
static bool take_lxc(struct name n, struct name above, struct cgroup_place *out)
{
	struct name parent = { 0 };

	if (has_prefix(n, "lxc.payload.") && n.len > strlen("lxc.payload.")) {
		n = without(n, strlen("lxc.payload."), 0);
	} else if (has_prefix(n, "machine-lxc\\x2d") && has_suffix(n, ".scope")) {
		n = without(n, strlen("machine-"), strlen(".scope"));
	} else if (!take_last(&above, &parent) || has_prefix(n, "lxc.monitor") ||
		   !(equals(parent, "lxc.payload") || equals(parent, "lxc"))) {
		return false;
	}
	return take_name(n, "lxc", out);
}

/* machine-NAME.scope is nspawn's, except libvirt's virtual machines (machine-qemu…); the
 * supervisor beside the payload runs outside. */
static bool take_nspawn(struct name n, struct name below, struct cgroup_place *out)
{
	size_t front = 0, back = 0;

	if (has_prefix(n, "machine-") && has_suffix(n, ".scope")) {
		if (has_prefix(n, "machine-qemu\\x2d"))
			return false;
		front = strlen("machine-");
		back = strlen(".scope");
	} else if (has_prefix(n, "systemd-nspawn@") && has_suffix(n, ".service")) {
		front = strlen("systemd-nspawn@");
		back = strlen(".service");
	}
	if (!front || n.len <= front + back || equals(below, "supervisor"))
		return false;
	return take_name(without(n, front, back), "nspawn", out);
}

void cgroup_describe(const char *path, size_t len, struct cgroup_place *out)
{
	struct name rest = { path, strnlen(path, len) }, below = { path, 0 }, n;
	bool unit = false, container = false;

	out->unit[0] = out->container_id[0] = '\0';
	out->container_runtime = NULL;
	while (!(unit && container) && take_last(&rest, &n)) {
		unit = unit || take_unit(n, out);
		container = container || take_prefixed(n, out) || take_plain(n, rest, out) ||
			take_lxc(n, rest, out) || take_nspawn(n, below, out);
		below = n;
	}
}

/* Splits "4:memory:/path". False for a line that is not one. */
static bool split_line(struct name line, struct name *controllers, struct name *path)
{
	const char *first = memchr(line.at, ':', line.len), *second;

	if (!first)
		return false;
	second = memchr(first + 1, ':', line.at + line.len - first - 1);
	if (!second || second + 1 == line.at + line.len || second[1] != '/')
		return false;
	*controllers = (struct name){ first + 1, second - first - 1 };
	*path = without(line, second + 1 - line.at, 0);
	if (has_suffix(*path, " (deleted)"))
		*path = without(*path, 0, strlen(" (deleted)"));
	return path->len > 0;
}

/* How much a line tells; 0 nothing. */
static int rank(struct name controllers, struct name path)
{
	struct cgroup_place place;
	int from = controllers.len == 0 ? 3 : equals(controllers, "name=systemd") ? 2 : 1;

	cgroup_describe(path.at, path.len, &place);
	if (place.container_id[0])
		return 10 + from;
	if (from == 1)
		return 0;
	return path.len > 1 ? 5 + from : from;
}

size_t cgroup_choose(const char *bytes, size_t len, const char **path)
{
	struct name controllers, candidate, best = { bytes, 0 };
	const char *end = bytes + len, *newline;
	int best_rank = 0;

	for (const char *at = bytes; at < end; at = newline + 1) {
		int r;

		newline = memchr(at, '\n', end - at);
		if (!newline)
			break;
		if (!split_line((struct name){ at, newline - at }, &controllers, &candidate))
			continue;
		r = rank(controllers, candidate);
		if (r > best_rank) {
			best_rank = r;
			best = candidate;
		}
	}
	*path = best.at;
	return best.len;
}
