# SPDX-License-Identifier: Apache-2.0
"""The dashboard: a static page (`page/`) that the Kubernetes API's listener serves at /dashboard/.

Here belongs what is sent to the browser, and the sending. Not here: anything that knows objects or users on the
server's side. The page is one more client of the Kubernetes API, with the rights of who has logged in and no others."""
