/* Requests to the server. Every outcome is one of:
   {ok: true, data}
   {ok: false, reason: "unreachable"}       no answer, or a 5xx, or an answer that is not ours: try again
   {ok: false, reason: "signed-out"}        401, 403 or a redirect to the sign-in page
   {ok: false, reason: "refused", error}    another 4xx with the server's sentence: trying again will not help */

const TIMEOUT = 30_000;

function csrfToken() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie ? decodeURIComponent(cookie[1]) : (document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "");
}

async function sentence(response) {
  try {
    const { error } = await response.json();
    return typeof error === "string" ? error : null;
  } catch {
    return null;
  }
}

async function outcome(response) {
  // A manual redirect has no status: the server sends people who are signed out to its sign-in page.
  if (response.type === "opaqueredirect") return { ok: false, reason: "signed-out", error: null };
  if (response.status === 401 || response.status === 403)
    return { ok: false, reason: "signed-out", error: await sentence(response) };
  if (response.ok) {
    const data = await response.json().catch(() => null);
    return data && typeof data === "object" ? { ok: true, data } : { ok: false, reason: "unreachable" };
  }
  const transient = response.status >= 500 || response.status === 408 || response.status === 429;
  const error = transient ? null : await sentence(response);
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
