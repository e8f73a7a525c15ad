/* Requests to the server. Every outcome is one of:
   {ok: true, data}
   {ok: false, reason: "unreachable"}       no answer, or a 5xx, or an answer that is not ours: try again
   {ok: false, reason: "signed-out"}        401, 403 or a redirect to the sign-in page
   {ok: false, reason: "step", error, go}   403 with the page that must be passed first
   {ok: false, reason: "refused", error}    another 4xx with the server's sentence: trying again will not help */

const TIMEOUT = 30_000;

function csrfToken() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie ? decodeURIComponent(cookie[1]) : (document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
}

async function said(response) {
  try {
    const { error, go } = await response.json();
    return { error: typeof error === "string" ? error : null, go: typeof go === "string" ? go : null };
  } catch {
    return { error: null, go: null };
  }
}

async function outcome(response) {
  // A manual redirect has no status: the server sends people who are signed out to its sign-in page.
  if (response.type === "opaqueredirect") return { ok: false, reason: "signed-out", error: null };
  if (response.status === 401 || response.status === 403) {
    const { error, go } = await said(response);
    return go ? { ok: false, reason: "step", error, go } : { ok: false, reason: "signed-out", error };
  }
  if (response.ok) {
    const data = await response.json().catch(() => null);
    return data && typeof data === "object" ? { ok: true, data } : { ok: false, reason: "unreachable" };
  }
  const transient = response.status >= 500 || response.status === 408 || response.status === 429;
  const { error } = transient ? { error: null } : await said(response);
  return error ? { ok: false, reason: "refused", error } : { ok: false, reason: "unreachable" };
}

/** Posts JSON to one of the study's addresses. */
export async function post(url, body) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken() },
      body: JSON.stringify(body),
      credentials: "same-origin",
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    return await outcome(response);
  } catch {
    return { ok: false, reason: "unreachable" };
  }
}
