/* SPDX-License-Identifier: MIT */
#include "host.h"

const char page_html[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<title>libprocinspect</title>\n"
    "<h1>libprocinspect</h1>\n"
    "<p>Answers are JSON; every object in them has the <code>href</code> that leads to it.</p>\n"
    "<ul>\n"
    "<li><a href=\"api/processes?allUsers=true\">All processes</a>\n"
    "<li><a href=\"api/processes\">Processes of the user that this host runs as</a>\n"
    "<li><a href=\"api/processes/0\">This host</a>: its\n"
    "    <a href=\"api/processes/0/threads\">threads</a>,\n"
    "    <a href=\"api/processes/0/modules\">modules</a>,\n"
    "    <a href=\"api/processes/0/environments/all\">environment</a>,\n"
    "    <a href=\"api/processes/0/dump\">minidump</a> (open it with <code>lldb -c FILE</code>)\n"
    "<li><a href=\"api/processes/-1\">The main site</a>, if the host was started with\n"
    "    <code>--main-site</code>\n"
    "</ul>\n"
    "<p>The same below another process's id, in place of 0.</p>\n"
    "</html>\n";
