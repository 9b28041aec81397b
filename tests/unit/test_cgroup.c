// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.h"
#include "cgroupfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "4f2a9c0d1e3b5a7988776655443322110fedcba98765432100112233445566ff"
#define OTHER "00112233445566ff4f2a9c0d1e3b5a7988776655443322110fedcba987654321"
#define POD "pod0a1b2c3d-1111-2222-3333-444455556666"
#define POD_SLICE "kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice"
#define USER "/user.slice/user-1000.slice/user@1000.service"

static const struct {
	const char *path, *unit, *id, *runtime;
} places[] = {
	{ "/", "", "", NULL },
	{ "", "", "", NULL },
	{ "/init.scope", "init.scope", "", NULL },
	{ "/system.slice/ssh.service", "ssh.service", "", NULL },
	{ "/system.slice/ssh.service/", "ssh.service", "", NULL },
	{ "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "", NULL },
	{ "/system.slice/dev-disk-by\\x2duuid-1.swap", "dev-disk-by\\x2duuid-1.swap", "", NULL },
	{ "/system.slice/_cpu.service", "cpu.service", "", NULL },
	{ "/system.slice/postgresql.service/workers/3", "postgresql.service", "", NULL },
	{ "/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "", NULL },
	{ USER "/app.slice/app-firefox-77.scope", "app-firefox-77.scope", "", NULL },
	{ USER "/init.scope", "init.scope", "", NULL },
	{ USER, "user@1000.service", "", NULL },
	{ "/system.slice", "", "", NULL },
	{ "/system.slice/.service", "", "", NULL },
	{ "/../../system.slice/cron.service", "cron.service", "", NULL },

	{ "/docker/" ID, "", ID, "docker" },
	{ "/docker/" ID "/system.slice/nginx.service", "nginx.service", ID, "docker" },
	{ "/docker/" OTHER "/docker/" ID, "", ID, "docker" },
	{ "/system.slice/docker-" ID ".scope", "docker-" ID ".scope", ID, "docker" },
	{ "/system.slice/docker.service", "docker.service", "", NULL },
	{ USER "/user.slice/docker-" ID ".scope", "docker-" ID ".scope", ID, "docker" },
	{ "/docker/4f2a9c0d1e3b", "", "", NULL },
	{ "/docker/" ID "0", "", "", NULL },
	{ "/docker-" ID "x.scope", "docker-" ID "x.scope", "", NULL },
	{ "/somebody/" ID, "", "", NULL },

	{ "/machine.slice/libpod-" ID ".scope", "libpod-" ID ".scope", ID, "podman" },
	{ "/machine.slice/libpod-" ID ".scope/container", "libpod-" ID ".scope", ID, "podman" },
	{ "/machine.slice/libpod-conmon-" ID ".scope", "libpod-conmon-" ID ".scope", "", NULL },
	{ "/libpod_parent/libpod-" ID, "", ID, "podman" },
	{ USER "/user.slice/libpod-" ID ".scope", "libpod-" ID ".scope", ID, "podman" },
	{ "/system.slice/web.service/libpod-payload-" ID, "web.service", ID, "podman" },

	{ "/kubepods.slice/kubepods-burstable.slice/" POD_SLICE "/cri-containerd-" ID ".scope",
	  "cri-containerd-" ID ".scope", ID, "containerd" },
	{ "/kubepods/burstable/" POD "/" ID, "", ID, "containerd" },
	{ "/kubepods/" POD "/" ID, "", ID, "containerd" },
	{ "/kubelet.slice/kubelet-kubepods.slice/x", "", "", NULL },
	{ "/system.slice/containerd.service/" POD_SLICE ":cri-containerd:" ID,
	  "containerd.service", ID, "containerd" },
	{ "/kubepods.slice/" POD_SLICE "/crio-" ID ".scope", "crio-" ID ".scope", ID, "cri-o" },
	{ "/kubepods/besteffort/" POD "/crio-" ID, "", ID, "cri-o" },
	{ "/kubepods.slice/" POD_SLICE "/crio-conmon-" ID ".scope",
	  "crio-conmon-" ID ".scope", "", NULL },
	{ "/kubepods.slice/" POD_SLICE "/docker-" ID ".scope", "docker-" ID ".scope", ID, "docker" },
	{ "/system.slice/nerdctl-" ID ".scope", "nerdctl-" ID ".scope", ID, "containerd" },

	{ "/lxc.payload.web1", "", "web1", "lxc" },
	{ "/lxc.payload.web1/system.slice/apache2.service", "apache2.service", "web1", "lxc" },
	{ "/lxc.payload/web1/init.scope", "init.scope", "web1", "lxc" },
	{ "/lxc/web1", "", "web1", "lxc" },
	{ "/lxc.monitor.web1", "", "", NULL },
	{ "/lxc.payload.", "", "", NULL },
	{ "/machine.slice/machine-lxc\\x2d4\\x2dweb.scope", "machine-lxc\\x2d4\\x2dweb.scope",
	  "lxc-4-web", "lxc" },

	{ "/machine.slice/machine-deb\\x2d12.scope", "machine-deb\\x2d12.scope", "deb-12", "nspawn" },
	{ "/machine.slice/machine-a.scope/payload/system.slice/cron.service", "cron.service", "a",
	  "nspawn" },
	{ "/machine.slice/machine-a.scope/supervisor", "machine-a.scope", "", NULL },
	{ "/machine.slice/machine-a\\x00b.scope", "machine-a\\x00b.scope", "a\\x00b", "nspawn" },
	{ "/machine.slice/machine-a\\x2.scope", "machine-a\\x2.scope", "a\\x2", "nspawn" },
	{ "/machine.slice/systemd-nspawn@web.service/payload", "systemd-nspawn@web.service", "web",
	  "nspawn" },
	{ "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", "machine-qemu\\x2d1\\x2dvm.scope", "", NULL },
	{ "/machine.slice/machine-.scope", "machine-.scope", "", NULL },
};

static void a_path_names_its_unit_and_container(void **state)
{
	struct cgroup_place place;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		cgroup_describe(places[i].path, strlen(places[i].path), &place);
		if (strcmp(place.unit, places[i].unit) || strcmp(place.container_id, places[i].id))
			print_message("in %s\n", places[i].path);
		assert_string_equal(place.unit, places[i].unit);
		assert_string_equal(place.container_id, places[i].id);
		if (places[i].runtime)
			assert_string_equal(place.container_runtime, places[i].runtime);
		else
			assert_null(place.container_runtime);
	}
}

static void a_name_longer_than_a_file_name_can_be_is_no_name(void **state)
{
	struct cgroup_place place;
	char path[600] = "/lxc/";

	(void)state;
	memset(path + 5, 'a', 400);
	strcpy(path + 405, ".service");
	cgroup_describe(path, strlen(path), &place);
	assert_string_equal(place.unit, "");
	assert_string_equal(place.container_id, "");
}

static const struct {
	const char *lines, *path;
} files[] = {
	{ "", "" },
	{ "0::/system.slice/cron.service\n", "/system.slice/cron.service" },
	{ "0::/system.slice/cron.service", "" },
	{ "0::/a/b (deleted)\n", "/a/b" },
	{ "0::/\n", "/" },
	{ "4:memory:/x\n1:name=systemd:/system.slice/cron.service\n0::/\n", "/system.slice/cron.service" },
	{ "1:name=systemd:/b\n0::/a\n", "/a" },
	{ "4:memory:/docker/" ID "\n1:name=systemd:/\n0::/system.slice/docker.service\n", "/docker/" ID },
	{ "4:memory:/x\n", "" },
	{ "4:memory:/x\n0::/\n", "/" },
	{ "0::a:b\nnonsense\n::\n:::\n1:name=systemd\n", "" },
	{ "0::/a:b:/c\n", "/a:b:/c" },
};

static void the_telling_line_is_chosen(void **state)
{
	const char *path;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		len = cgroup_choose(files[i].lines, strlen(files[i].lines), &path);
		assert_int_equal(len, strlen(files[i].path));
		assert_memory_equal(path, files[i].path, len);
	}
}

/* Of a made-up tree: it is searched. */
int open_by_handle_at(int mount_fd, struct file_handle *handle, int flags)
{
	(void)mount_fd, (void)handle, (void)flags;
	errno = EPERM;
	return -1;
}

#define CGROUPS 200

struct tree {
	struct cgroupfs fs;
	char mount[32];
	uint64_t id[CGROUPS];
	char path[CGROUPS][16];
};

/* As many directories, and what their inode numbers are in a listing. */
static void make_tree(struct tree *t, unsigned int count)
{
	unsigned int found = 0;
	struct dirent *entry;
	DIR *list;

	*t = (struct tree) { .mount = "/tmp/nfwho-test-XXXXXX" };
	assert_non_null(mkdtemp(t->mount));
	t->fs.mount_fd = open(t->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->fs.root_len = strlen(t->mount);
	for (unsigned int i = 0; i < count; i++) {
		snprintf(t->path[0], sizeof(t->path[0]), "%u.scope", i);
		assert_int_equal(mkdirat(t->fs.mount_fd, t->path[0], 0755), 0);
	}
	list = opendir(t->mount);
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.')
			continue;
		t->id[found] = entry->d_ino;
		snprintf(t->path[found++], sizeof(t->path[0]), "/%.14s", entry->d_name);
	}
	closedir(list);
	assert_int_equal(found, count);
}

static void remove_directories(struct tree *t, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		unlinkat(t->fs.mount_fd, t->path[i] + 1, AT_REMOVEDIR);
}

static void remove_tree(struct tree *t)
{
	rmdir(t->mount);
	cgroupfs_fini(&t->fs);
}

static void a_path_once_found_outlives_its_cgroup(void **state)
{
	static struct tree t;

	(void)state;
	make_tree(&t, CGROUPS);
	for (unsigned int i = 0; i < CGROUPS; i++)
		assert_string_equal(cgroupfs_path(&t.fs, t.id[i]), t.path[i]);
	remove_directories(&t, CGROUPS);
	for (unsigned int i = 0; i < CGROUPS; i++)
		assert_string_equal(cgroupfs_path(&t.fs, t.id[i]), t.path[i]);
	remove_tree(&t);
}

static void those_that_were_never_found_push_it_out_no_more(void **state)
{
	static struct tree t;

	(void)state;
	make_tree(&t, 1);
	assert_string_equal(cgroupfs_path(&t.fs, t.id[0]), t.path[0]);
	remove_directories(&t, 1);
	for (uint64_t i = 1; i <= 20000; i++)
		assert_string_equal(cgroupfs_path(&t.fs, t.id[0] + i), "");
	assert_string_equal(cgroupfs_path(&t.fs, t.id[0]), t.path[0]);
	remove_tree(&t);
}

static void a_search_without_descriptors_proves_nothing(void **state)
{
	struct rlimit before, limit;
	static struct tree t;
	char path[CGROUPFS_PATH_MAX];
	int next;

	(void)state;
	make_tree(&t, 1);
	next = dup(t.fs.mount_fd);
	close(next);
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = (rlim_t)next + 1;	/* the root can be opened, nothing below it */
	setrlimit(RLIMIT_NOFILE, &limit);
	snprintf(path, sizeof(path), "%s", cgroupfs_path(&t.fs, t.id[0]));
	setrlimit(RLIMIT_NOFILE, &before);
	assert_string_equal(path, "");
	assert_string_equal(cgroupfs_path(&t.fs, t.id[0]), t.path[0]);
	remove_directories(&t, 1);
	remove_tree(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_names_its_unit_and_container),
		cmocka_unit_test(a_name_longer_than_a_file_name_can_be_is_no_name),
		cmocka_unit_test(the_telling_line_is_chosen),
		cmocka_unit_test(a_path_once_found_outlives_its_cgroup),
		cmocka_unit_test(those_that_were_never_found_push_it_out_no_more),
		cmocka_unit_test(a_search_without_descriptors_proves_nothing),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
