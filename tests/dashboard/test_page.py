# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real Chromium, over a simulated cloud."""

from __future__ import annotations

import time
from typing import Any

from selenium.webdriver.common.keys import Keys

from tests.conformance.cloud import Here, until
from tests.dashboard.browser import Page
from tests.dashboard.stage import FAULT, IMAGE, a_deployment, a_server

HOSTILE = "<img src=x onerror=\"document.body.id='taken'\">"


WATCH_THE_DOCUMENT = """
window.touched = {pods: 0, all: 0};
new MutationObserver((changes) => {
  touched.all += changes.length;
  touched.pods += changes.filter(({target}) => target.closest?.('.pod')).length;
}).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
"""


def apply(cloud: Here, *objects: Any) -> None:
    cloud.kubectl_ok("apply", "-f", "-", input={"apiVersion": "v1", "kind": "List", "items": list(objects)})


def until_labelled(page: Page, kind: str, label: str, seconds: float = 30.0) -> None:
    until(
        f"a {kind} is labelled {label}; there are {page.labels(kind)}",
        lambda: any(found.startswith(label) for found in page.labels(kind)),
        seconds,
    )


def running_pods(page: Page, name: str) -> int:
    return sum(label.endswith("Running") for label in page.labels(f"pod {name}"))


# --- live -------------------------------------------------------------------------------------------------------------


def test_a_server_made_with_the_openstack_client_appears_boots_and_goes_without_a_reload(cloud: Here, demo: Page):
    demo.run("window.mark = 'the same page'")
    boot = ("--image", IMAGE, "--flavor", "m1.tiny", "--network", "cluster")
    cloud.openstack_ok("server", "create", "newborn", *boot)
    until_labelled(demo, "server", "server newborn, Running")
    cloud.openstack_ok("server", "delete", "newborn")
    until("it has gone", lambda: not any("newborn" in label for label in demo.labels("server")))
    assert demo.run("return window.mark") == "the same page"


def test_pods_of_a_deployment_come_and_go_as_it_is_scaled(cloud: Here, demo: Page):
    apply(cloud, a_deployment("tide", 2))
    until("two run", lambda: running_pods(demo, "tide") == 2)
    cloud.kubectl_ok("-n", "demo", "scale", "deployment", "tide", "--replicas", "5")
    until("five run", lambda: running_pods(demo, "tide") == 5)
    cloud.kubectl_ok("-n", "demo", "delete", "deployment", "tide")
    until("none is left", lambda: demo.labels("pod tide") == [])


def test_what_waits_is_listed_with_its_reason(cloud: Here, demo: Page):
    apply(cloud, a_deployment("greedy", 1, resources={"requests": {"cpu": "900"}}))
    demo.until_says("Insufficient cpu", ".beside")
    demo.press("pod greedy")
    demo.until_says("Insufficient cpu", ".panel .why")
    assert "lichen explain pod/greedy" in demo.text(".panel .why")
    cloud.kubectl_ok("-n", "demo", "delete", "deployment", "greedy")


# --- who sees what ----------------------------------------------------------------------------------------------------


def test_a_member_sees_only_their_own_project(cloud: Here, demo: Page):
    cloud.kubectl_ok("create", "namespace", "strangers")
    apply(cloud, a_server("secret", "cluster", namespace="strangers"), a_server("own", "cluster"))
    until_labelled(demo, "server", "server own, Running")
    until("the other runs", lambda: "Running" in cloud.kubectl_ok("-n", "strangers", "get", "server", "secret"))
    until_labelled(demo, "server", "server own, Running")
    seen = demo.driver.page_source
    assert "secret" not in seen and "strangers" not in seen and "node-1" not in demo.text("main")
    assert demo.run("return [...document.querySelector('.picker select').options].map((o) => o.value)") == ["demo"]
    cloud.kubectl_ok("-n", "demo", "delete", "server", "own")


def test_the_clouds_admin_sees_all_projects_and_nodes_and_picks_one(cloud: Here, admin: Page):
    cloud.kubectl_ok("create", "namespace", "orchard")
    apply(cloud, a_server("pear", "cluster", namespace="orchard"), a_server("stone", "cluster"))
    until_labelled(admin, "server", "server pear, Running")
    until_labelled(admin, "server", "server stone, Running")
    assert [label.split(", ")[1] for label in admin.labels("node ")] == ["Ready"] * 3
    admin.run("[...document.querySelectorAll('.project')].find((b) => b.textContent.includes('orchard')).click()")
    until("only the pear is left", lambda: admin.labels("server") == ["server pear, Running"])
    for namespace, name in (("orchard", "pear"), ("demo", "stone")):
        cloud.kubectl_ok("-n", namespace, "delete", "server", name)


def test_a_token_of_the_openstack_client_opens_the_page(cloud: Here, page: Page):
    token = cloud.openstack_ok("token", "issue", "-f", "value", "-c", "id").strip()
    page.log_in_with(token)
    assert "demo" in page.text(".who")


def test_wrong_passwords_and_tokens_are_refused_in_words(page: Page):
    page.open()
    page.find("input[name=user]").send_keys("demo")
    page.find("input[name=password]").send_keys("wrong" + Keys.ENTER)
    page.until_says("is not right", ".login")
    page.click("With a token instead")
    page.find("textarea[name=token]").send_keys("no token")
    page.click("Enter")
    page.until_says("not valid", ".login")


def test_logging_out_ends_the_token(cloud: Here, demo: Page):
    token = demo.run("return JSON.parse(sessionStorage.getItem('lichen.session')).token")
    demo.click("Log out")
    demo.find("input[name=user]")
    assert demo.run("return sessionStorage.getItem('lichen.session')") is None

    def is_refused() -> bool:
        url = f"{cloud.facts.kubernetes_url}/api/v1/namespaces/demo/pods"
        return cloud.request("GET", url, Authorization=f"Bearer {token}").status == 401

    until("the token is refused", is_refused)


def test_a_reader_gets_no_buttons_and_is_told_that_consoles_are_not_for_readers(cloud: Here, page: Page):
    apply(cloud, a_server("untouched", "cluster"))
    identity = cloud.sdk("admin", "admin").identity
    user = identity.create_user(name="onlooker", password="just-looking")
    project = identity.find_project("demo")
    identity.assign_project_role_to_user(project, user, identity.find_role("reader"))
    page.log_in("onlooker", "just-looking")
    page.press("server untouched")
    page.until_says("m1.small", ".panel")
    page.until_says("cannot get resource", ".panel .output")
    assert page.all(".panel .action") == []
    cloud.kubectl_ok("-n", "demo", "delete", "server", "untouched")


# --- one thing --------------------------------------------------------------------------------------------------------


def test_a_server_is_stopped_started_and_deleted_by_buttons_and_shows_its_console(cloud: Here, demo: Page):
    apply(cloud, a_server("lamp", "cluster"))
    demo.press("server lamp, Running")
    demo.until_says("lamp login:", ".panel .screen")
    demo.click("Stop")
    until_labelled(demo, "server", "server lamp, Stopped")
    assert cloud.openstack_json("server", "show", "lamp")["status"] == "SHUTOFF"
    demo.click("Start")
    until_labelled(demo, "server", "server lamp, Running")
    demo.click("Delete…")
    demo.click("Keep")
    demo.click("Delete…")
    demo.click("Yes, delete")
    demo.until_says("Gone", ".panel")
    assert not any("lamp" in label for label in demo.labels("server"))


def test_one_types_on_a_servers_console_and_reads_what_it_answers(cloud: Here, demo: Page):
    apply(cloud, a_server("parlour", "cluster"))
    demo.press("server parlour, Running")
    demo.until_says("parlour login:", ".panel .screen")
    screen = demo.find(".panel .screen pre")
    screen.send_keys("echo a pebbl", Keys.BACKSPACE, "le and a stone", Keys.ENTER)
    demo.until_says("\na pebble and a stone", ".panel .screen")
    demo.click("Stop")
    until_labelled(demo, "server", "server parlour, Stopped")
    assert "type" not in demo.find(".panel .output").text
    cloud.kubectl_ok("-n", "demo", "delete", "server", "parlour")


def test_a_refused_press_of_a_button_says_why(cloud: Here, demo: Page):
    apply(cloud, a_server("bolted", "cluster"))
    demo.press("server bolted, Running")
    lock = ("-n", "demo", "patch", "server", "bolted", "--type", "merge", "-p")
    cloud.kubectl_ok(*lock, '{"spec": {"locked": true, "lockedReason": "kept for the auditors"}}')
    demo.until_says("kept for the auditors", ".panel")
    demo.click("Stop")
    demo.until_says("locked", ".panel .refusal")
    cloud.kubectl_ok(*lock, '{"spec": {"locked": false}}')
    cloud.kubectl_ok("-n", "demo", "delete", "server", "bolted")


def test_the_log_of_a_pod_is_followed_while_it_is_written(cloud: Here, demo: Page):
    script = "echo the first word; sleep 3; echo the second word; sleep 1000"
    apply(cloud, a_deployment("talker", 1, command=["sh", "-c", script]))
    demo.press("pod talker")
    demo.until_says("the first word", ".panel .screen")
    demo.until_says("the second word", ".panel .screen")
    cloud.kubectl_ok("-n", "demo", "delete", "deployment", "talker")


def test_a_pod_that_crashes_again_and_again_says_so(cloud: Here, demo: Page):
    apply(cloud, a_deployment("moody", 1, labels={FAULT: "crash-1"}))
    demo.press("pod moody")
    demo.until_says("CrashLoopBackOff", ".panel", 40)
    demo.until_says("back-off", ".panel .why")
    demo.until_says("Restarts", ".panel .facts")
    cloud.kubectl_ok("-n", "demo", "delete", "deployment", "moody")


def test_a_panel_opens_with_the_keyboard_and_gives_the_focus_back(cloud: Here, demo: Page):
    apply(cloud, a_server("keys", "cluster"))
    until_labelled(demo, "server", "server keys, Running")
    demo.button("server keys").send_keys(Keys.ENTER)
    demo.until_says("keys", ".panel h2")
    demo.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))")
    until("it is closed", lambda: demo.run("return document.querySelector('.panel').hidden"))
    assert demo.run("return document.activeElement.getAttribute('aria-label')").startswith("server keys")
    cloud.kubectl_ok("-n", "demo", "delete", "server", "keys")


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_names_and_messages_are_text_whatever_they_contain(cloud: Here, demo: Page):
    server = a_server("hostile", "cluster", displayName=HOSTILE, description=HOSTILE)
    server["spec"]["metadata"] = {FAULT: "start", "x": HOSTILE}
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "hostile", "namespace": "demo"}, "type": "Warning",
        "reason": "Hostile", "message": HOSTILE, "involvedObject": {"kind": "Server", "name": HOSTILE},
    }  # fmt: skip
    apply(cloud, server, event)
    until_labelled(demo, "server", f"server {HOSTILE}, Error")
    demo.until_says(HOSTILE, ".beside .events")
    demo.press("server <img src=x onerror=".replace('"', "'"))
    demo.until_says(HOSTILE, ".panel h2")
    assert demo.run("return document.images.length") == 0
    assert demo.run("return document.body.id") == ""
    cloud.kubectl_ok("-n", "demo", "delete", "server", "hostile")


def test_the_browser_itself_refuses_to_read_text_as_html(demo: Page):
    script = "try { document.body.innerHTML = arguments[0]; return 'taken'; } catch (fault) { return fault.name; }"
    assert demo.run(script, HOSTILE) == "TypeError"
    assert all("TrustedHTML" in line for line in demo.complaints())


def test_quota_bars_follow_what_is_used(cloud: Here, admin: Page):
    cloud.kubectl_ok("create", "namespace", "tight")
    cloud.kubectl_ok("-n", "tight", "create", "quota", "bars", "--hard", "pods=4")
    admin.until_says("0 of 4", ".beside")
    apply(cloud, a_deployment("filler", 3, namespace="tight"))
    admin.until_says("3 of 4", ".beside")
    assert admin.find("[role=meter][aria-label=Pods]").get_attribute("aria-valuenow") == "75"
    cloud.kubectl_ok("delete", "namespace", "tight")


def test_networks_routers_and_floating_ips_are_on_the_map(cloud: Here, demo: Page):
    admin, mine = cloud.sdk("admin", "admin").network, cloud.sdk().network
    outside = admin.create_network(name="beyond", is_router_external=True)
    admin.create_subnet(network_id=outside.id, ip_version=4, cidr="198.51.100.0/24", enable_dhcp=False)
    network = mine.create_network(name="meadow")
    subnet = mine.create_subnet(network_id=network.id, ip_version=4, cidr="10.44.0.0/24")
    router = mine.create_router(name="gate", external_gateway_info={"network_id": outside.id})
    mine.add_interface_to_router(router, subnet_id=subnet.id)
    apply(cloud, a_server("sheep", "meadow"))
    until_labelled(demo, "server", "server sheep, Running")
    port = next(iter(mine.ports(network_id=network.id, device_owner="compute:nova")))
    floating = mine.create_ip(floating_network_id=outside.id, port_id=port.id)
    demo.until_says(f"↗ {floating.floating_ip_address}", ".map")
    demo.until_says("10.44.0.0/24", ".map")
    until("a wire outside and one to the meadow", lambda: len(demo.all(".wires path")) == 2)
    assert demo.labels("router") == ["router gate, Active"]
    above = demo.run("return [...document.querySelectorAll('.spine .outside .name')].map((e) => e.textContent)")
    assert above[-1] == "beyond", "what the router leads to stands next to it"


def test_an_empty_project_says_what_to_type(cloud: Here, page: Page):
    cloud.kubectl_ok("create", "namespace", "vacant")
    identity = cloud.sdk("admin", "admin").identity
    identity.assign_project_role_to_user(
        identity.find_project("vacant"), identity.find_user("demo"), identity.find_role("member")
    )
    page.log_in("demo", cloud.credentials.demo_password, "vacant")
    page.until_says("kubectl -n vacant create deployment", ".map-card")
    page.run(
        "const s = document.querySelector('.picker select'); s.value = 'demo'; s.dispatchEvent(new Event('change'))"
    )
    page.until_live()
    until("it is demo's page now", lambda: page.driver.title.startswith("demo") or "demo –" in page.driver.title)


def test_finding_dims_all_but_what_was_asked_for(cloud: Here, demo: Page):
    apply(cloud, a_server("needle", "cluster"), a_server("straw", "cluster"))
    until_labelled(demo, "server", "server straw, Running")
    demo.find("input[type=search]").send_keys("needle")
    until("straw is dim", lambda: "dim" in (demo.button("server straw").get_attribute("class") or ""))
    assert "dim" not in (demo.button("server needle").get_attribute("class") or "")
    cloud.kubectl_ok("-n", "demo", "delete", "server", "needle", "straw")


def test_one_change_touches_nothing_of_what_did_not_change(cloud: Here, demo: Page):
    apply(cloud, a_deployment("herd", 120), a_server("shepherd", "cluster"))
    until("all run", lambda: running_pods(demo, "herd") == 120, 60)
    until_labelled(demo, "server", "server shepherd, Running")
    time.sleep(2)  # what was told of them has come
    demo.run(WATCH_THE_DOCUMENT)
    cloud.kubectl_ok("-n", "demo", "patch", "server", "shepherd", "--type", "merge", "-p", '{"spec": {"power": "Off"}}')
    until_labelled(demo, "server", "server shepherd, Stopped")
    assert demo.run("return touched.pods") == 0
    assert demo.run("return touched.all") < 200
    for thing in ("deployment/herd", "server/shepherd"):
        cloud.kubectl_ok("-n", "demo", "delete", thing)


def test_a_narrow_window_scrolls_in_one_direction_only(cloud: Here, admin: Page):
    apply(cloud, a_deployment("crowd", 12), a_server("with-a-rather-long-name-for-a-server", "cluster"))
    until("all run", lambda: running_pods(admin, "crowd") == 12)
    narrow = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    admin.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        admin.press("server with-a-rather")
        admin.until_says("m1.small", ".panel")
        assert admin.run("return document.documentElement.scrollWidth") == 400
        assert admin.run("return document.querySelector('.panel').getBoundingClientRect().width") <= 400
    finally:
        admin.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    for thing in ("deployment/crowd", "server/with-a-rather-long-name-for-a-server"):
        cloud.kubectl_ok("-n", "demo", "delete", thing)


def test_it_listens_and_does_not_ask_again_and_again(cloud: Here, demo: Page):
    demo.run("performance.clearResourceTimings()")
    time.sleep(4)
    assert demo.run("return performance.getEntriesByType('resource').map((e) => e.name)") == []
