/* SPDX-License-Identifier: MIT */
#include "bench/environments.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

/* Each '#' becomes a digit. */
static const char *const templates[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/service/bin",
    "HOME=/home/site",
    "HOSTNAME=service-worker-7d9f8b6c5-#####",
    "LANG=C.UTF-8",
    "LC_ALL=C.UTF-8",
    "TZ=Etc/UTC",
    "TERM=xterm",
    "SHLVL=1",
    "PWD=/home/site/wwwroot/instances/####",
    "OLDPWD=/home/site/wwwroot",
    "USER=site",
    "LOGNAME=site",
    "MAIL=/var/mail/site",
    "SHELL=/bin/bash",
    "TMPDIR=/tmp/instance-####",
    "XDG_RUNTIME_DIR=/run/user/####",
    "PORT=8080",
    "BIND_ADDRESS=0.0.0.0:####",
    "INSTANCE_ID_########=active",
    "WEBSITE_SITE_NAME=listing-site-production",
    "WEBSITE_INSTANCE_ID=################################################################",
    "WEBSITE_RESOURCE_GROUP=production-west-europe",
    "APPSETTING_FEATURES=queue,search,reports,export",
    "DATABASE_URL=postgresql://service@database-####.internal:5432/production?sslmode=verify-full",
    "CACHE_URL=redis://cache-####.internal:6379/#",
    "QUEUE_URL=amqps://queue-####.internal:5671/production",
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.telemetry.svc.cluster.local:4317",
    "OTEL_RESOURCE_ATTRIBUTES=service.name=listing,service.instance.id=################",
    "KUBERNETES_SERVICE_HOST=10.96.0.1",
    "KUBERNETES_SERVICE_PORT=443",
    "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
    "SERVICE_TOKEN=################################################",
    "TRACEPARENT=00-################################-################-01",
    "JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75.0 -XX:+ExitOnOutOfMemoryError "
    "-Djava.security.egd=file:/dev/urandom -Dcom.sun.management.jmxremote.port=#### "
    "-Djavax.net.ssl.trustStore=/etc/ssl/certs/java/cacerts -Dfile.encoding=UTF-8",
    "NODE_OPTIONS=--max-old-space-size=2048 --enable-source-maps",
    "LS_COLORS=rs=0:di=01;34:ln=01;36:mh=00:pi=40;33:so=01;35:do=01;35:bd=40;33;01:cd=40;33;01:"
    "or=40;31;01:mi=00:su=37;41:sg=30;43:ca=30;41:tw=30;42:ow=34;42:st=37;44:ex=01;32:*.tar=01;31:"
    "*.tgz=01;31:*.zip=01;31:*.gz=01;31:*.xz=01;31:*.deb=01;31:*.rpm=01;31:*.jar=01;31:*.jpg=01;35",
    "_=/opt/service/bin/worker",
    NULL,
};

extern char **environ;

static bool has_begun(void) {
    const size_t count = sizeof templates / sizeof templates[0] - 1;
    for (size_t i = 0; i < count; i++)
        if (environ[i] == NULL || strcmp(environ[i], templates[i]) != 0)
            return false;
    return environ[count] == NULL;
}

void environments_begin(char **arguments) {
    if (has_begun())
        return;
    execve("/proc/self/exe", arguments, (char *const *)(uintptr_t)templates);
    bench_fail("execve of the benchmark itself");
}

void environments_make(uint64_t number) {
    /* The parts' places are in the templates: here they may be filled already. */
    uint64_t digits = number;
    for (size_t i = 0; templates[i] != NULL; i++)
        for (char *part = strchr(templates[i], '#'); part != NULL; part = strchr(part + 1, '#')) {
            digits = digits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            environ[i][part - templates[i]] = (char)('0' + (digits >> 33) % 10);
        }
}
