// Made from docs/openapi.json by scripts/client-types.mjs.
export interface paths {
    "/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The session of this browser
         * @description By its cookie. A request with a key has none.
         *
         *     Needs the scope `read`.
         */
        get: operations["getSession"];
        put?: never;
        /**
         * Sign a browser in
         * @description With an API key, or with the code of a link in its place (`khumbu-code.` and the code). The answer sets a cookie that no script can read; whoever has it may what the key may, until it expires or the key is withdrawn.
         *
         *     Needs the scope `read`.
         */
        post: operations["beginSession"];
        /**
         * Sign out
         * @description The session ends, and its cookie is removed. Safe to repeat.
         *
         *     Needs the scope `read`.
         */
        delete: operations["endSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/session/codes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a link that signs in once
         * @description For somebody who must not see the key. The code stands behind the # of the link: browsers send that to nobody.
         *
         *     Needs the scope `read`.
         */
        post: operations["makeSignInCode"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * All stations
         * @description Every station that was heard or is configured, with what is under way at each; those that fit a filter, in an order. A cursor goes with the parameters it was given for.
         *
         *     Needs the scope `read`.
         */
        get: operations["listStations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One station
         * @description What is known of a station, whether it is there, and what is under way.
         *
         *     Needs the scope `read`.
         */
        get: operations["getStation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Set the type and labels of a station
         * @description By them filters and bulk orders find it. They win over those of the stations file, label by label, and are kept in the depot. What is not named stays. Safe to repeat.
         *
         *     Needs the scope `admin`.
         */
        patch: operations["setStationGroups"];
        trace?: never;
    };
    "/v1/stations/{stationId}/firmware-updates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The firmware updates of a station
         * @description Open ones first, then ended ones, newest first.
         *
         *     Needs the scope `read`.
         */
        get: operations["listFirmwareUpdates"];
        put?: never;
        /**
         * Update a station
         * @description Fetches the image, or takes the one that the depot holds, verifies it, waits until the station may be changed, installs it, and confirms it after the reboot. An update of this API that is under way gives way to the new one.
         *
         *     Needs the scope `operate`.
         */
        post: operations["startFirmwareUpdate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/firmware-updates/{operationId}/allow-installation": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Allow the installation
         * @description For an update that waits for a permission. EVerest gives it when no connector is in use; an operator may give it in its place, and has to where EVerest is not told of the update. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["allowInstallation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/firmware-updates/{operationId}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pause the download
         * @description EVerest is told `DownloadPaused`, or `DownloadScheduled` where it had not begun, as far as its dialect has the word. What was fetched stays. A fetch that other updates wait for goes on for them. Its time does not run out meanwhile, for 31 days. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["pauseDownload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/firmware-updates/{operationId}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let the download go on
         * @description Ends a pause of this update: it goes on where it stopped, as soon as the window, the budgets and the depot let it. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["resumeDownload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/firmware-updates/{operationId}/download-now": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Download now
         * @description As `resume`, and neither the download window nor a budget keeps this update from now on. A pause of the whole depot does. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["downloadNow"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/firmware-updates/{operationId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One firmware update
         * @description Where it stands, with its whole history.
         *
         *     Needs the scope `read`.
         */
        get: operations["getFirmwareUpdate"];
        put?: never;
        post?: never;
        /**
         * Cancel a firmware update
         * @description Ends it, and tells EVerest if it knows of it. One that has ended stays as it is.
         *
         *     Needs the scope `operate`.
         */
        delete: operations["cancelFirmwareUpdate"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/log-uploads": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The log uploads of a station
         * @description Open ones first, then ended ones, newest first.
         *
         *     Needs the scope `read`.
         */
        get: operations["listLogUploads"];
        put?: never;
        /**
         * Fetch the logs of a station
         * @description Collects the logs, packs them into one `.tar.gz` and brings it to `location`, or to the depot’s object store, from where `archive` fetches it. EVerest is not told.
         *
         *     Needs the scope `operate`.
         */
        post: operations["startLogUpload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/log-uploads/{operationId}/archive": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Fetch the archive
         * @description Redirects to the object store, to a URL that works for a few minutes without credentials (with curl: `-L`). Only for archives in the depot’s object store.
         *
         *     Needs the scope `read`.
         */
        get: operations["getLogArchive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/log-uploads/{operationId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One log upload
         * @description Where it stands, with its whole history.
         *
         *     Needs the scope `read`.
         */
        get: operations["getLogUpload"];
        put?: never;
        post?: never;
        /**
         * Cancel a log upload
         * @description Ends it, and tells EVerest if it knows of it. One that has ended stays as it is.
         *
         *     Needs the scope `operate`.
         */
        delete: operations["cancelLogUpload"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/log-archives": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The log archives that the depot keeps
         * @description Of every upload of logs the depot keeps a copy for some days, wherever the archive went and however that ended. The newest first.
         *
         *     Needs the scope `read`.
         */
        get: operations["listLogArchives"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/log-archives/{operationId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One kept archive
         * @description What is known of an archive that the depot keeps.
         *
         *     Needs the scope `read`.
         */
        get: operations["getKeptLogArchive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/log-archives/{operationId}/content": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The bytes of a kept archive
         * @description From the object store through this gateway, so that a caller need not reach the store. One range and several, `If-Range`, `If-Match`, `If-None-Match` and HEAD are served as RFC 9110 has them: a download that was cut goes on where it ended.
         *
         *     Needs the scope `read`.
         */
        get: operations["getKeptLogArchiveContent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Reset a station
         * @description `Soft` restarts EVerest; `Hard` and `NotSpecified` reboot the station. During an install the reset is kept and done right after. One reset is open per station: the same again is the same operation. Charging sessions end; ask the CSMS for a reset that waits for them.
         *
         *     Needs the scope `operate`.
         */
        post: operations["resetStation"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/reset-permission": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * May it be reset?
         * @description What EVerest would be answered now. Nothing is reserved and nothing changes.
         *
         *     Needs the scope `read`.
         */
        get: operations["getResetPermission"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/system-time": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Set the clock
         * @description A small difference is left alone. A time that could not be set within two seconds is dropped.
         *
         *     Needs the scope `admin`.
         */
        put: operations["setSystemTime"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/boot-reason": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Why did it start?
         * @description What EVerest was told in its present boot. Asking begins no boot and changes nothing.
         *
         *     Needs the scope `read`.
         */
        get: operations["getBootReason"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/network": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Prepare a network interface
         * @description Where the station’s driver can. Passwords and keys are kept until the operation has ended and never shown.
         *
         *     Needs the scope `admin`.
         */
        put: operations["configureNetwork"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/firmware-updates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Update many stations
         * @description Each station of the target is decided by itself: `results` has the operation or the problem of each. With an `Idempotency-Key` the same request may be sent again until all are decided: nothing is done twice. `dryRun` tells what would be answered.
         *
         *     Needs the scope `operate`.
         */
        post: operations["startFirmwareUpdates"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/log-uploads": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Fetch the logs of many stations
         * @description Each station of the target is decided by itself: `results` has the operation or the problem of each. With an `Idempotency-Key` the same request may be sent again until all are decided: nothing is done twice. `dryRun` tells what would be answered.
         *
         *     Needs the scope `operate`.
         */
        post: operations["startLogUploads"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/resets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Reset many stations
         * @description Each station of the target is decided by itself: `results` has the operation or the problem of each. With an `Idempotency-Key` the same request may be sent again until all are decided: nothing is done twice. `dryRun` tells what would be answered.
         *
         *     Needs the scope `operate`.
         */
        post: operations["resetStations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/operations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Search operations
         * @description Open ones first, then ended ones; newest first in each part. A page may hold fewer than `limit` items and still have a `nextCursor`. A cursor goes with the parameters it was given for.
         *
         *     Needs the scope `read`.
         */
        get: operations["searchOperations"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/operations/{operationId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One operation
         * @description Any operation by its id.
         *
         *     Needs the scope `read`.
         */
        get: operations["getOperation"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/depot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How the depot itself does
         * @description Whether what it needs is there, and how the files do that its services follow. A file that cannot be used stops nothing: its last good content stays in use, until somebody mends it.
         *
         *     Needs the scope `read`.
         */
        get: operations["getDepot"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/wan": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The link to the world
         * @description Its limits, what went over it this month, and what keeps downloads now.
         *
         *     Needs the scope `read`.
         */
        get: operations["getWan"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/wan/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pause all downloads
         * @description Those that run stop within seconds and keep what they have; log archives are sent all the same. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["pauseDownloads"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/wan/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let downloads go on
         * @description Ends the pause of all downloads. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["resumeDownloads"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/wan/budget": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Another budget for this month
         * @description In place of `WAN_MONTH_BUDGET_BYTES`, for the month that is now at the depot. Downloads that wait for bytes go on where it is enough for them. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        put: operations["setWanBudget"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * All webhooks
         * @description The oldest first, with what waits for them and what they did not take. No secrets.
         *
         *     Needs the scope `operate`.
         */
        get: operations["listWebhooks"];
        put?: never;
        /**
         * Register a webhook
         * @description What happens from now on is told to it. The answer has the secret, this once. Sent again it registers another one.
         *
         *     Needs the scope `admin`.
         */
        post: operations["createWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{webhookId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One webhook
         * @description With what waits for it and what it did not take. No secrets.
         *
         *     Needs the scope `operate`.
         */
        get: operations["getWebhook"];
        /**
         * Change a webhook
         * @description What is not in the body is not so any more: without `filter` it is told every event, without `paused` it goes on, also after a 410. Its keys stay, and so does what waits for it. A `url` as `GET` shows it, with `/…` at its end, leaves the URL as it is. Safe to repeat.
         *
         *     Needs the scope `admin`.
         */
        put: operations["replaceWebhook"];
        post?: never;
        /**
         * Delete a webhook
         * @description With what waits for it and what it did not take. A message on its way may still arrive.
         *
         *     Needs the scope `admin`.
         */
        delete: operations["deleteWebhook"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{webhookId}/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Another key
         * @description Messages are signed by it from now on, and for `overlapS` by the key before as well, so that the receiver may change over at any time between. The answer has the new secret, this once. An older one that was still valid ends.
         *
         *     Needs the scope `admin`.
         */
        post: operations["rotateWebhookKey"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{webhookId}/ping": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a message to try it out
         * @description A message of type `ping`, signed, tried again and given up as any other. Each call sends one.
         *
         *     Needs the scope `operate`.
         */
        post: operations["pingWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{webhookId}/dead-letters": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What it did not take
         * @description Messages whose tries are used up, with why, the oldest first.
         *
         *     Needs the scope `operate`.
         */
        get: operations["listDeadLetters"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{webhookId}/dead-letters/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send all of them again
         * @description Behind what waits for their stations: later events may have come before. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["resendDeadLetters"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/webhooks/{webhookId}/dead-letters/{deliveryId}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send one of them again
         * @description With the id and the body it had, behind what waits for its station.
         *
         *     Needs the scope `operate`.
         */
        post: operations["resendDeadLetter"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/security-log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What was done, and by whom
         * @description Every login to a station, clock set, reset, firmware installed or refused, change of keys and policies, request over REST. Each entry has the hash of the one before.
         *
         *     Needs the scope `admin`.
         */
        get: operations["getSecurityLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/security-log/verification": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether the security log is whole
         * @description Reads all of it and computes each hash again. With anchors (from the manifest of a log archive, or the log of a gateway) it also finds that its end was cut off, or that all of it was written anew.
         *
         *     Needs the scope `admin`.
         */
        get: operations["verifySecurityLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/driver-check": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Could it be acted upon?
         * @description The last look at the station before use, with its age: for each verb whether it could be done, and what is missing. Asking looks at nothing.
         *
         *     Needs the scope `read`.
         */
        get: operations["getDriverCheck"];
        put?: never;
        /**
         * Look whether it could be acted upon
         * @description A worker looks at the station; nothing is changed there. While one look is under way, asking again asks for no other. `GET` at `Location` tells the result.
         *
         *     Needs the scope `operate`.
         */
        post: operations["checkDriver"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/mqtt-frames": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The last MQTT frames of a station
         * @description What the station said, and what it was told: the last minutes of MQTT, from the memory of the gateway that leads. Any gateway may be asked. Values of members that speak of passwords, PINs, keys and tokens are taken out, and what is taken out of logs. Heartbeats and communication checks are one frame each, with a count. 503 READS_BUSY while no gateway leads. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        get: operations["getMqttFrames"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/firmware-artifacts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The images that the depot holds
         * @description The newest first: size, SHA-256, from where each came, for which stations, and how many bytes it saved. What is counted is remembered for 30 days after an image has gone, should it come back.
         *
         *     Needs the scope `read`.
         */
        get: operations["listFirmwareArtifacts"];
        put?: never;
        /**
         * Bring in an image by hand
         * @description The body is the image as it is (`curl -T image.raucb`), no JSON and no form. It is checked as a download is (`MAX_FIRMWARE_BYTES`,
         *     `MIN_FIRMWARE_BYTES`, the SHA-256, a signature where one is given) and kept until somebody deletes it. Not a byte of it goes over the
         *     WAN. Whether the certificate is trusted is judged by the updates that name it. Updates use it by `artifact`, or by the `location` it is brought in for. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        post: operations["uploadFirmwareArtifact"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/firmware-artifacts/{sha256}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One image
         * @description What is known of an image that the depot holds.
         *
         *     Needs the scope `read`.
         */
        get: operations["getFirmwareArtifact"];
        /**
         * Bring in an image whose SHA-256 is known
         * @description The body is the image as it is (`curl -T image.raucb`), no JSON and no form. It is checked as a download is (`MAX_FIRMWARE_BYTES`,
         *     `MIN_FIRMWARE_BYTES`, the SHA-256, a signature where one is given) and kept until somebody deletes it. Not a byte of it goes over the
         *     WAN. Whether the certificate is trusted is judged by the updates that name it. Updates use it by `artifact`, or by the `location` it is brought in for. Safe to repeat.
         *
         *     Needs the scope `operate`.
         */
        put: operations["putFirmwareArtifact"];
        post?: never;
        /**
         * Remove an image
         * @description Removes it from where the ota-workers keep images; copies in spools of their own go with their next sweep. An update that wants it later fetches it again. Refused while an operation needs it; `operations` says which.
         *
         *     Needs the scope `operate`.
         */
        delete: operations["deleteFirmwareArtifact"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/firmware-artifacts/{sha256}/content": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The bytes of an image
         * @description For a station on the LAN that fetches its image itself. In place of a key the URL may carry `expires` and `signature`, as `content-url` gives them. The ETag is the SHA-256; one range and several, `If-Range`, `If-Match`, `If-None-Match` and HEAD are served as RFC 9110 has them.
         *
         *     Needs the scope `read`.
         */
        get: operations["getFirmwareArtifactContent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/firmware-artifacts/{sha256}/content-url": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * A URL without a key
         * @description A URL at this gateway, under the host name that the request was sent to, by which anybody may fetch the bytes for a while.
         *
         *     Needs the scope `operate`.
         */
        post: operations["signFirmwareArtifactUrl"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stations/{stationId}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Look into the logs of a station
         * @description The logs as they are at the station, without an archive: to see the last minutes of a charger. A log-worker logs in and reads; what is
         *     taken out of archives is taken out here.
         *
         *     Without `since` and `until`, and with `follow`, it begins with the newest records of each source, about a thousand (of files, with the end of the
         *     newest ones), and reads sources at the same time. A window without `follow` has exactly its records, one source after the other. Each line is
         *     JSON; with `Accept: text/plain` text, a source before each line. The last line is `end` and says why it ended; where it is missing, the answer was
         *     cut off. It comes as fast as you read, up to `LOG_VIEW_BYTES_PER_S`, and ends after `LOG_VIEW_MAX_BYTES` or `LOG_VIEW_MAX_S` at the latest; what
         *     `grep` leaves out was read from the station all the same, and counts. End the request, and nothing is left running at the station.
         *
         *     Needs the scope `operate`.
         */
        get: operations["viewLogs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow what changes
         * @description Server-Sent Events of everything that changes.
         *
         *     | event | what |
         *     |---|---|
         *     | `operation` | an operation has changed: `stationId`, `operationId`, `kind`, `origin`, `status`, `version`, `ended`, `waitingFor`, `waiting`, `outcome` |
         *     | `station` | `change` is `heard` (first time), `restarted` (with `bootEpoch`, `bootReason`), `away`, `back`, `conflict`, `conflict_over`, `firmware` (what it runs is another one, with `firmware`) |
         *     | `progress` | how far a transfer or an installation is, about once a second: `bytes`, `totalBytes`, or `percent`. Without id, never replayed |
         *     | `gap` | events between `after` and `until` are not kept any more: read `/v1/stations` and `/v1/operations` anew |
         *
         *     After a break send the id of the last event as `Last-Event-ID`: what came since is sent first, by any gateway and over
         *     restarts. An id stays valid as long as its successors are kept (about 20000 events). Every event may come twice. The
         *     stream ends when a token runs out or a key is withdrawn, when the subscriber does not read, or when the gateway stops: connect again.
         *
         *     Needs the scope `read`.
         */
        get: operations["followEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A page of artefacts, the newest first. */
        ArtifactPage: {
            items: components["schemas"]["Artifact"][];
            /** @description For the next page; absent on the last one. */
            nextCursor?: string;
        };
        /** @description An image that the depot holds. */
        Artifact: {
            /**
             * @description Of all of its bytes.
             * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
             */
            sha256: string;
            /**
             * @description Of those that were brought in by hand.
             * @example 098f6bcd4621d373cade4e832627b4f6
             */
            md5?: string;
            /** @description How many bytes it has. */
            sizeBytes: number;
            /**
             * Format: date-time
             * @description Since when the depot holds it.
             * @example 2026-11-22T09:30:00.000Z
             */
            addedAt: string;
            /** @description true: brought in by hand; it is kept until somebody deletes it, for nothing could fetch it again. */
            broughtIn: boolean;
            /** @description From where it came, the latest first, 20 at most. */
            sources: components["schemas"]["ArtifactSource"][];
            /** @description Stations whose updates were given it, the latest first; in lists 10 at most. */
            stations: string[];
            /** @description How many stations those are. */
            stationCount: number;
            /** @description Updates that were given it. */
            uses: number;
            /** @description Bytes that those would have fetched, and did not: the depot had it. */
            bytesSaved: number;
            /**
             * Format: date-time
             * @description When an update was given it first.
             * @example 2026-11-22T09:30:00.000Z
             */
            firstUsedAt?: string;
            /**
             * Format: date-time
             * @description When an update was given it last.
             * @example 2026-11-22T09:30:00.000Z
             */
            lastUsedAt?: string;
        };
        /** @description From where an artefact came. */
        ArtifactSource: {
            /**
             * @description `fetched` by an update, or brought in by hand: by an `upload`, or from the import `folder`.
             * @enum {unknown}
             */
            by: "fetched" | "upload" | "folder";
            /**
             * @description The location, without user, password, query and fragment, or the name of the file.
             * @example https://files.example/charger-2.1.raucb
             */
            from: string;
            /**
             * Format: date-time
             * @description When it was last found there.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
        };
        /** @description A signed URL of the bytes of an artefact. */
        ContentUrl: {
            /**
             * Format: uri
             * @description Works without a key, for GET and HEAD.
             */
            url: string;
            /**
             * Format: date-time
             * @description Until when.
             * @example 2026-11-22T09:30:00.000Z
             */
            expiresAt: string;
            /**
             * @description What it has to be.
             * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
             */
            sha256: string;
            /** @description How many bytes it has. */
            sizeBytes: number;
        };
        /**
         * @description For how long a URL works.
         * @example {
         *       "seconds": 600
         *     }
         */
        ContentUrlOrder: {
            /** @description For how long it works. */
            seconds?: number;
        };
        /** @description The bytes of an image, as they are. */
        ImageBytes: unknown;
        /** @description How the depot itself does. */
        Depot: {
            /** @description Nothing below needs somebody. */
            ok: boolean;
            /**
             * @description What this gateway needs or follows, as in `/readyz`: `ok`, or what is wrong with it.
             * @example {
             *       "redis": "ok",
             *       "leader": "ok",
             *       "files": "ok"
             *     }
             */
            checks: {
                [key: string]: string;
            };
            /** @description Of every service, those that are not usable first. A service that is gone is left out after half a minute. */
            files: components["schemas"]["DepotFile"][];
            /** @description What became of the files in FIRMWARE_IMPORT_DIR of ota-workers. */
            imports: components["schemas"]["ImportedFile"][];
        };
        /** @description A file, or a set of keys, as one service follows it. */
        DepotFile: {
            /**
             * @description The setting that names it.
             * @example STATIONS_FILE
             */
            setting: string;
            /**
             * @description The service that follows it.
             * @example gateway
             */
            service: string;
            /**
             * @description Host and process id of that service.
             * @example depot-1:4711
             */
            instance: string;
            /** @description false: what is there now is not used, but what was good last. */
            usable: boolean;
            /**
             * @description Why it is not usable, with line and column where there is one.
             * @example STATIONS_FILE: line 7, column 5: /stations/gate-1 must NOT have additional properties: drivr is not known
             */
            reason?: string;
            /**
             * Format: date-time
             * @description Since when it has not been usable.
             * @example 2026-11-22T09:30:00.000Z
             */
            unusableSince?: string;
            /**
             * Format: date-time
             * @description When the content in use was taken; absent: never.
             * @example 2026-11-22T09:30:00.000Z
             */
            loadedAt?: string;
        };
        /** @description A file of an import folder. */
        ImportedFile: {
            /** @description Host and path of the file. */
            file: string;
            /** @description false: refused; message says why. */
            takenIn: boolean;
            /**
             * Format: date-time
             * @description When it was looked at last.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /** @description Of the artefact that it is. */
            sha256?: string;
            /** @description Why it was refused. */
            message?: string;
        };
        /** @description Whether a station could be acted upon, and what is missing. */
        DriverCheck: {
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /**
             * @description `never`: none was asked for in the last 30 days. `running`: one was asked for and has not ended. `done`: `result` is of the last one. `lost`: the last one did not end in ten minutes; ask again.
             * @enum {unknown}
             */
            state: "never" | "running" | "done" | "lost";
            /**
             * Format: date-time
             * @description When the last one was asked for.
             * @example 2026-11-22T09:30:00.000Z
             */
            askedAt?: string;
            /**
             * Format: date-time
             * @description When `result` was found.
             * @example 2026-11-22T09:30:00.000Z
             */
            checkedAt?: string;
            /** @description How old `result` is, in seconds. */
            ageS?: number;
            result?: {
                /** @description Whether each could be done now. */
                verbs: {
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    observe: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    install: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    reboot: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    restart: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    read_clock: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    set_clock: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    logs: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                    /**
                     * @description `can`: nothing was found that keeps it from being done now. `cannot`: something is missing. `unknown`: it could not be found out without doing it. `not_needed`: the station sees to it itself. `not_supported`: its profile has no command for it.
                     * @enum {unknown}
                     */
                    network: "can" | "cannot" | "unknown" | "not_needed" | "not_supported";
                };
                findings: {
                    /**
                     * @description A stable word.
                     * @example host_key
                     * @example space
                     * @example rauc_service
                     */
                    subject: string;
                    /**
                     * @description `missing` and `unknown` decide about the verbs that are named; `warning` is for people.
                     * @enum {unknown}
                     */
                    outcome: "ok" | "warning" | "missing" | "unknown" | "not_needed";
                    /** @description What was seen. */
                    text: string;
                    /** @description What to do. */
                    remedy?: string;
                    /** @description What it is about. */
                    verbs: ("observe" | "install" | "reboot" | "restart" | "read_clock" | "set_clock" | "logs" | "network")[];
                }[];
                /** @description To the station and back; absent: not reached. */
                latencyMs?: number;
                /** @description Its clock against ours; positive: it is ahead. */
                clockOffsetMs?: number;
                /** @description Free for its state folder. */
                freeBytes?: number;
            };
        };
        /** @description The `data` of one Server-Sent Event. */
        Event: components["schemas"]["OperationEvent"] | components["schemas"]["StationEvent"] | components["schemas"]["ProgressEvent"] | components["schemas"]["GapEvent"];
        /** @description An operation has changed. */
        OperationEvent: {
            /** @enum {string} */
            type: "operation";
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /**
             * @description The operation.
             * @example firmware-update-mia0x1c2-5f0c9a7be1
             */
            operationId: string;
            kind: components["schemas"]["OperationKind"];
            origin: components["schemas"]["Origin"];
            status: components["schemas"]["OperationStatus"];
            /** @description Rises with every change of the operation: of two that arrive, the higher one is newer. */
            version: number;
            /** @description Nothing more will happen; `outcome` says how it went. */
            ended: boolean;
            /**
             * @description What it waits for, as a stable word. `waiting` says more.
             * @example permission
             */
            waitingFor?: string;
            waiting?: components["schemas"]["Waiting"];
            outcome?: components["schemas"]["Outcome"];
        };
        /**
         * @description What is asked of a station. A station does one operation of each kind at a time.
         * @enum {unknown}
         */
        OperationKind: "firmware_update" | "log_upload" | "reset" | "configure_network" | "set_system_time";
        /**
         * @description `everest`: asked over MQTT, usually by the CSMS through OCPP. `rest`: asked over this API.
         * @enum {unknown}
         */
        Origin: "everest" | "rest";
        /**
         * @description Where it stands, in EVerest’s words where there are some. Offered: being answered. Superseded: another one took its place. Withdrawn: it was never answered. Of resets: Resetting, Restarting, Restarted, Failed; of networks: Ready, Failed; of clocks: Pending, Done.
         * @example Downloading
         * @enum {unknown}
         */
        OperationStatus: "Downloaded" | "DownloadFailed" | "Downloading" | "DownloadScheduled" | "DownloadPaused" | "Idle" | "InstallationFailed" | "Installing" | "Installed" | "InstallRebooting" | "InstallScheduled" | "InstallVerificationFailed" | "InvalidSignature" | "SignatureVerified" | "AcceptedCanceled" | "BadMessage" | "NotSupportedOperation" | "PermissionDenied" | "Uploaded" | "UploadFailure" | "Uploading" | "Offered" | "Accepted" | "Superseded" | "Canceled" | "Withdrawn" | "Resetting" | "Restarting" | "Restarted" | "Failed" | "Ready" | "Pending" | "Done";
        /**
         * @description What an open operation waits for, or who is at work on it. Every open operation has it.
         * @example {
         *       "for": "permission",
         *       "since": "2026-11-22T09:30:00.000Z",
         *       "until": "2026-11-29T09:30:00.000Z",
         *       "afterwards": "fails",
         *       "liftedBy": [
         *         "everest",
         *         "operator"
         *       ]
         *     }
         */
        Waiting: {
            /**
             * @description What must come to pass.
             *
             *     - `answer`: Its answer is on its way to whoever asked.
             *     - `successor`: Another operation that would take its place is just being answered.
             *     - `retrieve_timestamp`: The date at which the image is to be fetched (`retrieve_timestamp`).
             *     - `install_timestamp`: The date at which the image is to be installed (`install_timestamp`).
             *     - `announcement`: EVerest is told that the image is ready shortly before `install_timestamp`; until then its connectors stay in use.
             *     - `worker`: A worker that takes it up.
             *     - `retry`: The pause before the next try.
             *     - `retry_after`: The pause that the other server asked for (`Retry-After`).
             *     - `operator_pause`: An operator has paused its download: `resume` over REST.
             *     - `depot_pause`: An operator has paused all downloads: `/v1/wan/resume` over REST.
             *     - `download_window`: The time of day at which images are fetched (`DOWNLOAD_WINDOW`), or `download-now` over REST.
             *     - `month_budget`: The next month: the image would exceed the bytes of this one. Or a larger budget, or `download-now`, over REST.
             *     - `update_budget`: It has fetched as much as one update may (`WAN_UPDATE_BUDGET_BYTES`): `download-now` over REST.
             *     - `start_spread`: Downloads begin at random times (`DOWNLOAD_START_SPREAD_S`), not all at once.
             *     - `permission`: Permission to install: EVerest’s `allow_firmware_installation`, or `allow-installation` over REST.
             *     - `permission_unobtainable`: Permission to install, which this EVerest may never send because it restarted: allow it over REST.
             *     - `station_away`: EVerest at the station is not heard: its permission counts again when the same boot is heard, a new boot is asked for it again.
             *     - `station_never_heard`: EVerest at the station was never heard: nothing is installed there before.
             *     - `station_conflict`: Two stations use this identity: one of them has to be renamed or stopped.
             *     - `reset_reservation`: EVerest was told that it may reset, and may do so any moment.
             *     - `reset`: A reset of the station is under way.
             *     - `install`: An installation at the station is under way.
             *     - `new_boot`: EVerest is to be heard in a new boot.
             *     - `station_busy`: The station is still at what was begun there, and has not said that this is over.
             *     - `station_unreachable`: The host of the station cannot be reached.
             *     - `certificate_store`: EVerest at the station is to be back, and its certificate store to answer as before the update (`evse_security`).
             *     - `error`: Something unexpected went wrong (`detail`); it is tried again.
             *     - `download`: The image is being fetched.
             *     - `verification`: The signature is being checked.
             *     - `installation`: The station is installing the image.
             *     - `reboot`: The station is restarting into the new image.
             *     - `restart`: The station is being reset.
             *     - `upload`: The archive is being made and sent.
             *     - `network`: The network interface is being prepared.
             *     - `clock`: The clock is being set.
             * @enum {unknown}
             */
            for: "answer" | "successor" | "retrieve_timestamp" | "install_timestamp" | "announcement" | "worker" | "retry" | "retry_after" | "operator_pause" | "depot_pause" | "download_window" | "month_budget" | "update_budget" | "start_spread" | "permission" | "permission_unobtainable" | "station_away" | "station_never_heard" | "station_conflict" | "reset_reservation" | "reset" | "install" | "new_boot" | "station_busy" | "station_unreachable" | "certificate_store" | "error" | "download" | "verification" | "installation" | "reboot" | "restart" | "upload" | "network" | "clock";
            /**
             * Format: date-time
             * @description Since when it waits for that.
             * @example 2026-11-22T09:30:00.000Z
             */
            since: string;
            /**
             * Format: date-time
             * @description When the wait is over at the latest; absent: nothing but what it waits for ends it. Where it is counted on the depot’s own clock it is an estimate: while the depot is stopped no time passes for it.
             * @example 2026-11-22T09:30:00.000Z
             */
            until?: string;
            /**
             * @description What comes at `until`: it goes on by itself, it fails, or it ends well.
             * @enum {unknown}
             */
            afterwards?: "goes_on" | "fails" | "ends";
            /**
             * @description Who can end the wait, likeliest first.
             *
             *     - `everest`: EVerest at the station, by what it sends over MQTT.
             *     - `operator`: A person or a fleet tool over REST, or whoever runs the depot.
             *     - `station`: The host of the station.
             *     - `origin`: The server that has the image, or that takes the archive.
             *     - `worker`: One of the depot’s workers.
             *     - `gateway`: A gateway of the depot.
             *     - `time`: Nobody: it passes by itself.
             */
            liftedBy: ("everest" | "operator" | "station" | "origin" | "worker" | "gateway" | "time")[];
            /** @description More, for people. */
            detail?: string;
        };
        /** @description How an operation ended. */
        Outcome: {
            /** @description Whether it did what was asked. */
            ok: boolean;
            /**
             * @description Why not, as a stable word; also what is worth telling of a success.
             * @example http_404
             */
            reason?: string;
            /** @description More, for people. */
            message?: string;
        };
        /** @description Something has happened to a station. */
        StationEvent: {
            /** @enum {string} */
            type: "station";
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /**
             * @description `heard`: for the first time. `restarted`: EVerest has started anew. `away`: its heartbeats have stopped; `back`: they go on. `conflict`: two stations use this identity; `conflict_over`. `firmware`: it runs another one, or one that was not known.
             * @enum {unknown}
             */
            change: "heard" | "restarted" | "conflict" | "conflict_over" | "away" | "back" | "firmware";
            /** @description Of `restarted`: boots of EVerest that were noticed. */
            bootEpoch?: number;
            bootReason?: components["schemas"]["BootReason"];
            /** @description Of `firmware`: what it runs. */
            firmware?: {
                /** @description What the station calls it. */
                version?: string;
                /** @description The slot it runs from, by the station’s own name. */
                slot?: string;
                /**
                 * Format: date-time
                 * @description When it was installed, by the station’s clock.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                installedAt?: string;
                /** @description The operation that installed it. */
                by?: string;
            };
        };
        /**
         * @description Why the station started.
         * @enum {unknown}
         */
        BootReason: "ApplicationReset" | "FirmwareUpdate" | "LocalReset" | "PowerUp" | "RemoteReset" | "ScheduledReset" | "Triggered" | "Unknown" | "Watchdog";
        /** @description How far a transfer or an installation is, about once a second. Without id, never replayed. */
        ProgressEvent: {
            /** @enum {string} */
            type: "progress";
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /**
             * @description The operation.
             * @example firmware-update-mia0x1c2-5f0c9a7be1
             */
            operationId: string;
            kind: components["schemas"]["OperationKind"];
            /** @description Bytes so far: of a download, an upload, or of the image on its way to the station. */
            bytes?: number;
            /** @description Bytes in all, where that is known. */
            totalBytes?: number;
            /** @description Of a log upload: records that were read at the station so far. */
            records?: number;
            /** @description Bytes a second over the last 20 seconds. */
            bytesPerS?: number;
            /** @description Seconds that are left at this rate, where all bytes are known. */
            remainingS?: number;
            /** @description Of an installation, where the station says. */
            percent?: number;
        };
        /** @description Events between `after` and `until` are not kept any more: read `/v1/stations` and `/v1/operations` anew. */
        GapEvent: {
            /** @enum {string} */
            type: "gap";
            /** @description Id of the last event that was sent. */
            after: string;
            /** @description Id of the last event that is not kept any more. */
            until: string;
        };
        /** @description A page of kept archives, the newest first. */
        LogArchivePage: {
            items: components["schemas"]["LogArchive"][];
            /** @description For the next page; absent on the last one. */
            nextCursor?: string;
            /** @description How many the depot keeps in all. */
            keptArchives: number;
            /** @description How many bytes those have. */
            keptBytes: number;
            /** @description How many they may have; absent: no limit. */
            quotaBytes?: number;
        };
        /** @description A log archive that the depot keeps, wherever else it went. */
        LogArchive: {
            /**
             * @description The log upload that it was made for; that may be forgotten earlier.
             * @example log-upload-mfx3k1c0-5f0c9a7be1
             */
            operationId: string;
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /**
             * @description Which logs.
             * @enum {unknown}
             */
            type: "DiagnosticsLog" | "SecurityLog";
            /**
             * Format: date-time
             * @description When it was asked for. Its days count from here.
             * @example 2026-11-22T09:30:00.000Z
             */
            createdAt: string;
            /**
             * Format: date-time
             * @description When it is removed, unless the quota wants it earlier; absent: no date is set.
             * @example 2026-11-22T09:30:00.000Z
             */
            keptUntil?: string;
            /** @description The window that was asked for, as it was written; absent: open. */
            oldest?: string;
            /** @description Its other end, likewise. */
            latest?: string;
            /**
             * @description What to call it.
             * @example cs-1-DiagnosticsLog-20261122T023000Z-9a7be1f0.tar.gz
             */
            fileName: string;
            /**
             * @description How it is compressed.
             * @enum {unknown}
             */
            format: "gzip" | "zstd";
            /** @description How many bytes it has. */
            sizeBytes: number;
            /**
             * @description SHA-256 of its bytes, if that is known.
             * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
             */
            sha256?: string;
        };
        /** @description One line of the live view as JSON. */
        LogViewLine: components["schemas"]["LogViewRecord"] | components["schemas"]["LogViewNote"] | components["schemas"]["LogViewAlive"] | components["schemas"]["LogViewEnd"];
        /** @description One line of a log. */
        LogViewRecord: {
            /** @enum {string} */
            type: "record";
            /**
             * @description The source, by its name in the stations file.
             * @example journal
             */
            source: string;
            /**
             * @description When it was written, by the clock of the station, where the line begins with it: RFC 3339.
             * @example 2026-11-22T09:30:00.123456Z
             */
            time?: string;
            /** @description The line, without what is taken out of logs. */
            text: string;
        };
        /** @description What has to be known of a source. */
        LogViewNote: {
            /** @enum {string} */
            type: "note";
            /**
             * @description The source, by its name in the stations file.
             * @example journal
             */
            source: string;
            /**
             * @description A stable word, as in the manifest of an archive.
             * @example older_left_out
             */
            code: string;
            /** @description The same for people. */
            text: string;
        };
        /** @description Nothing was written for a while; the view goes on. */
        LogViewAlive: {
            /** @enum {string} */
            type: "alive";
        };
        /** @description The last line. Where it is missing, the answer was cut off. */
        LogViewEnd: {
            /** @enum {string} */
            type: "end";
            /**
             * @description `complete`: nothing more is there. `size_limit`, `time_limit`: as much, or as long, as one view may: ask for the rest. `failed`: no source could be read to its end. `lost`: what read it is gone. `stopping`: the gateway or the worker stops. `withdrawn`: your key is withdrawn, or your token has run out.
             * @enum {unknown}
             */
            reason: "complete" | "size_limit" | "time_limit" | "failed" | "lost" | "stopping" | "withdrawn";
        };
        /** @description The last MQTT frames of a station. */
        MqttFrames: {
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /**
             * Format: date-time
             * @description Before that frames may be missing. From then on the gateway that leads has listened without a break, and has dropped none of the station: later than the last one that had no room any more, and at most 15 minutes ago; the time of the answer while it has no connection to the broker.
             * @example 2026-11-22T09:30:00.000Z
             */
            since: string;
            /** @description Oldest first; 100 at most, of the last 15 minutes. */
            frames: components["schemas"]["MqttFrame"][];
        };
        /** @description An MQTT frame from or to a station. */
        MqttFrame: {
            /**
             * Format: date-time
             * @description When it came or went; of several that say the same, the last one.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /** @description How many of them there were, of heartbeats and communication checks. */
            count?: number;
            /**
             * Format: date-time
             * @description When the first of them came or went.
             * @example 2026-11-22T09:30:00.000Z
             */
            firstAt?: string;
            /**
             * @description Who sent it.
             * @enum {unknown}
             */
            direction: "from_station" | "to_station";
            /**
             * @description Its topic.
             * @example everest_api/1/system/cs-1/e2m/update_firmware
             */
            topic: string;
            /** @description Quality of service it was sent with. */
            qos: number;
            /** @description Size of its payload. */
            sizeBytes: number;
            /** @description Its payload without secrets: values of members that speak of passwords, PINs, keys, tokens are taken out, of locations user, password, query and fragment, and what is taken out of logs. JSON without white space; what is none as the text it is. */
            payload: string;
            /** @description true: there was more of it than is shown. */
            cut: boolean;
            /** @description true: the broker delivered it again. */
            again?: boolean;
            /** @description Of one to the station. false: the broker said that nobody listens. */
            heard?: boolean;
        };
        /** @description What was asked of a station, and what became of it. */
        Operation: {
            /**
             * @description Our own id; it never repeats.
             * @example firmware-update-mia0x1c2-5f0c9a7be1
             */
            operationId: string;
            kind: components["schemas"]["OperationKind"];
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            origin: components["schemas"]["Origin"];
            /** @description Who asked over REST. */
            askedBy?: string;
            /** @description What it was called by who asked. */
            title?: string;
            /** @description The bulk order it came with. */
            orderId?: string;
            /** @description request_id on the wire; -1 where EVerest gave none. May repeat. */
            requestId: number;
            status: components["schemas"]["OperationStatus"];
            /** @description Nothing more will happen; `outcome` says how it went. */
            ended: boolean;
            /**
             * Format: date-time
             * @description When it was asked for.
             * @example 2026-11-22T09:30:00.000Z
             */
            createdAt: string;
            /**
             * Format: date-time
             * @description When it changed last.
             * @example 2026-11-22T09:30:00.000Z
             */
            updatedAt: string;
            /**
             * Format: date-time
             * @description When it ended.
             * @example 2026-11-22T09:30:00.000Z
             */
            endedAt?: string;
            /**
             * Format: date-time
             * @description When the status it is in becomes a failure. An estimate: while the depot is stopped no time passes for it.
             * @example 2026-11-22T09:30:00.000Z
             */
            deadlineAt?: string;
            /**
             * @description What it waits for, as a stable word; an error with its text. Absent while somebody is at work on it. `waiting` says more.
             * @example permission
             */
            waitingFor?: string;
            waiting?: components["schemas"]["Waiting"];
            /** @description Where the image is or the archive goes; without credentials and query. */
            location?: string;
            /** @description Name of the log archive. */
            fileName?: string;
            /** @description Size of the log archive, once uploaded. */
            sizeBytes?: number;
            /**
             * Format: date-time
             * @description When the image is to be fetched, if that was asked for.
             * @example 2026-11-22T09:30:00.000Z
             */
            retrieveTimestamp?: string;
            /**
             * Format: date-time
             * @description When the image is to be installed, if that was asked for.
             * @example 2026-11-22T09:30:00.000Z
             */
            installTimestamp?: string;
            /** @description The image in the depot’s store. */
            image?: {
                /** @description SHA-256 in hex. */
                sha256: string;
                /** @description Size in bytes. */
                sizeBytes: number;
            };
            /** @description Who has paused its download over REST. */
            pausedBy?: string;
            /** @description Who lets it be fetched whatever the download window and the budgets say. */
            downloadNowBy?: string;
            /** @description Bytes that its fetches have brought over the WAN, those it shared in full. */
            wanBytes?: number;
            /**
             * @description Who allowed the installation.
             * @enum {unknown}
             */
            permissionBy?: "everest" | "rest";
            /** @description Soft, Hard or NotSpecified. */
            resetType?: string;
            /** @description The network interface. */
            interfaceName?: string;
            /** @description The operation whose place it took. */
            supersedes?: string;
            progress?: components["schemas"]["Progress"];
            outcome?: components["schemas"]["Outcome"];
            /** @description Every status it has had, oldest first. */
            history: components["schemas"]["HistoryEntry"][];
        };
        /** @description How far this operation’s own download, upload or installation is, while it runs. An installation begins with the bytes that have come to the station; what the station says of its work comes after them. */
        Progress: {
            /** @description Bytes so far: of a download, an upload, or of the image on its way to the station. */
            bytes?: number;
            /** @description Bytes in all, where that is known. */
            totalBytes?: number;
            /** @description Of a log upload: records that were read at the station so far. */
            records?: number;
            /** @description Bytes a second over the last 20 seconds. */
            bytesPerS?: number;
            /** @description Seconds that are left at this rate, where all bytes are known. */
            remainingS?: number;
            /** @description Of an installation, where the station says. */
            percent?: number;
            /**
             * Format: date-time
             * @description When this was true.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
        };
        /** @description One step in the life of an operation. */
        HistoryEntry: {
            /**
             * Format: date-time
             * @description When.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /** @description The status it entered. */
            status: string;
            /** @description Why, as a stable word. */
            reason?: string;
        };
        /** @description A page of stations. */
        StationPage: {
            /** @description By name, where no other order was asked for. */
            items: components["schemas"]["Station"][];
            /** @description How many there are on all pages. With `total=true` alone. */
            total?: number;
            /** @description For the next page; absent on the last one. */
            nextCursor?: string;
        };
        /** @description One EVerest instance with `system_API`. */
        Station: {
            /**
             * @description The station.
             * @example cs-1
             */
            stationId: string;
            /** @description Id of the `system_API` module of its EVerest. */
            moduleId?: string;
            /** @description false: not in the stations file; listed, never touched. */
            configured: boolean;
            /**
             * @description How it is reached.
             * @example simulated
             */
            driver?: string;
            /**
             * @description What it is, by the stations file or as it was set over REST.
             * @example dc-180
             */
            type?: string;
            /**
             * @description Groups it belongs to, by the stations file and as they were set over REST, which wins.
             * @example {
             *       "site": "north"
             *     }
             */
            labels?: {
                [key: string]: string;
            };
            /** @description Those of them that were set over REST. */
            ownLabels?: {
                [key: string]: string;
            };
            /**
             * @description What its OCPP module speaks.
             * @enum {unknown}
             */
            dialect: "ocpp1.6" | "ocpp2.x" | "unknown";
            /** @description Two stations use this identity: nothing is done with either. */
            conflict: boolean;
            /**
             * @description Why nothing is done with it: it is not in the stations file, it is listed there without a driver, or two stations use its identity. Absent: it is served.
             * @enum {unknown}
             */
            refusedBecause?: "not_listed" | "no_driver" | "conflict";
            /**
             * @description Whether its EVerest is heard. `away`: its heartbeats have stopped. One without heartbeats that was heard once counts as `here`.
             * @enum {unknown}
             */
            presence: "here" | "away" | "never_heard";
            /** @description Its EVerest is not there: `presence` is `away` or `never_heard`. */
            away: boolean;
            /** @description Boots of EVerest that were noticed. */
            bootEpoch: number;
            bootReason?: components["schemas"]["BootReason"];
            /**
             * Format: date-time
             * @description When it was first heard; absent: never.
             * @example 2026-11-22T09:30:00.000Z
             */
            firstSeenAt?: string;
            /**
             * Format: date-time
             * @description When it was last heard.
             * @example 2026-11-22T09:30:00.000Z
             */
            lastSeenAt?: string;
            /** @description What it runs, as it said last; absent: it was not asked yet. Reading this asks no station. */
            firmware?: {
                /**
                 * @description What the station calls it.
                 * @example 2026.4
                 */
                version?: string;
                /**
                 * @description The slot it runs from, by the station’s own name.
                 * @example B
                 */
                slot?: string;
                /**
                 * Format: date-time
                 * @description When it was installed, by the station’s clock; where an operation of ours did it.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                installedAt?: string;
                /**
                 * @description The operation that installed it; absent: none of ours.
                 * @example firmware-update-mia0x1c2-5f0c9a7be1
                 */
                by?: string;
                /**
                 * Format: date-time
                 * @description When the station said so.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                observedAt: string;
                /** @description Seconds since then. It is looked at after every install and boot, and every `OBSERVE_INTERVAL_S`. */
                ageS: number;
            };
            /** @description What is under way. */
            operations: components["schemas"]["Operation"][];
        };
        /** @description A page of operations. */
        OperationPage: {
            /** @description Open ones first, newest first in each part, where no other order was asked for. */
            items: components["schemas"]["Operation"][];
            /** @description How many there are on all pages. With `total=true` alone. */
            total?: number;
            /** @description For the next page; absent on the last one. */
            nextCursor?: string;
        };
        /** @description Whether a reset would be allowed. */
        ResetPermission: {
            type: components["schemas"]["ResetType"];
            /** @description Whether EVerest would be allowed this reset now. */
            allowed: boolean;
            /**
             * @description Why not.
             * @example installing
             */
            reason?: string;
        };
        /**
         * @description Soft restarts EVerest; Hard and NotSpecified reboot the station.
         * @enum {unknown}
         */
        ResetType: "Soft" | "Hard" | "NotSpecified";
        /** @description What EVerest is told about its start. */
        BootReasonView: {
            /** @description Which boot. */
            bootEpoch: number;
            bootReason: components["schemas"]["BootReason"];
            /** @description false: EVerest has not asked in this boot, so nothing is known (Unknown). */
            told: boolean;
        };
        /**
         * @description An error, RFC 9457.
         * @example {
         *       "type": "urn:khumbu:problem:INSTALLING",
         *       "title": "The station is being changed by an update.",
         *       "status": 409,
         *       "instance": "/v1/stations/cs-1/firmware-updates",
         *       "code": "INSTALLING",
         *       "reason": "installing"
         *     }
         */
        Problem: {
            /** @description urn:khumbu:problem: and the code. */
            type: string;
            /** @description What the code means. */
            title: string;
            /** @description HTTP status. */
            status: number;
            /** @description What it was this time; absent where the title says it all. */
            detail?: string;
            /** @description The path that was asked for. */
            instance: string;
            /**
             * @description Stable: decide by this.
             * @enum {unknown}
             */
            code: "REQUEST_MALFORMED" | "BODY_MALFORMED" | "PARAMETER_INVALID" | "CURSOR_INVALID" | "LAST_EVENT_ID_INVALID" | "NOT_AUTHENTICATED" | "CSRF_TOKEN_MISSING" | "SCOPE_MISSING" | "NOT_FOUND" | "NO_SESSION" | "STATION_UNKNOWN" | "OPERATION_UNKNOWN" | "ARCHIVE_UNKNOWN" | "ARTIFACT_UNKNOWN" | "WEBHOOK_UNKNOWN" | "DEAD_LETTER_UNKNOWN" | "REQUEST_TIMEOUT" | "STATION_NOT_CONFIGURED" | "STATION_IN_CONFLICT" | "INSTALLING" | "SIGNATURE_REQUIRED" | "SIGNATURE_INCOMPLETE" | "LOCATION_SCHEME_NOT_ALLOWED" | "LOCATION_HOST_NOT_ALLOWED" | "LOCATION_ADDRESS_FORBIDDEN" | "LOCATION_KEY_NOT_ALLOWED" | "LOG_TYPE_UNKNOWN" | "WINDOW_EMPTY" | "NETWORK_NOT_SUPPORTED" | "INTERFACE_UNKNOWN" | "SLOT_TAKEN_BY_EVEREST" | "SLOT_BUSY" | "NOT_CANCELABLE" | "NOT_WAITING" | "NO_DOWNLOAD" | "ARCHIVE_NOT_READY" | "ARCHIVE_ELSEWHERE" | "ARTIFACT_IN_USE" | "ARTIFACT_ELSEWHERE" | "TOO_MANY_WEBHOOKS" | "WEBHOOK_FULL" | "SESSION_NEEDS_KEY" | "LOGS_UNAVAILABLE" | "REFUSED" | "PRECONDITION_FAILED" | "BODY_TOO_LARGE" | "CONTENT_TYPE_UNSUPPORTED" | "RANGE_NOT_SATISFIABLE" | "EXPECTATION_UNKNOWN" | "BODY_INVALID" | "ARTIFACT_REFUSED" | "LOCATION_MALFORMED" | "LOCATION_SCHEME_UNKNOWN" | "LOCATION_NOT_USABLE" | "CERTIFICATE_INVALID" | "CERTIFICATE_REVOKED" | "TIME_ABSURD" | "NO_OBJECT_STORE" | "IDEMPOTENCY_KEY_REUSED" | "TOO_MANY_REQUESTS" | "TOO_MANY_EVENT_STREAMS" | "TOO_MANY_LOG_VIEWS" | "HEADERS_TOO_LARGE" | "INTERNAL" | "NOT_STORED" | "READS_BUSY" | "WORKERS_GONE" | "CERTIFICATE_NOT_JUDGED" | "STATION_UNREACHABLE" | "ARTIFACT_STORE_UNREACHABLE" | "OBJECT_STORE_UNREACHABLE" | "AUTHORITY_UNREACHABLE" | "TOO_MANY_SUBSCRIBERS" | "ARTIFACT_NO_SPACE";
            /** @description The word of the decision behind it. */
            reason?: string;
            /** @description The operation it is about. */
            operationId?: string;
            /** @description Operations that need what was to be removed, 20 at most. */
            operations?: string[];
            /** @description All that is wrong with a body or with parameters, twenty at most. Of a refusal: the members it is about. */
            errors?: {
                /** @description What is wrong there. */
                detail: string;
                /**
                 * @description Where in the body: a JSON pointer as the fragment of a URI.
                 * @example #/retries
                 */
                pointer?: string;
                /**
                 * @description Name of the parameter.
                 * @example status
                 */
                parameter?: string;
                /**
                 * @description Where the parameter stands.
                 * @enum {unknown}
                 */
                in?: "query" | "path" | "header";
                /**
                 * @description The rule of JSON Schema it breaks; `additionalProperties`: it is not known there. Absent where the code names the rule.
                 * @example required
                 * @example type
                 * @example maximum
                 * @example format
                 */
                rule?: string;
                /** @description Of a filter: the first character that does not fit, from 0 on. */
                position?: number;
                /** @description How many characters do not fit. */
                length?: number;
                /** @description What would have been taken. */
                allowed?: unknown[];
            }[];
        };
        /** @description An entry of the security log. */
        SecurityEntry: {
            /** @description From 1 on, without a gap. */
            sequence: number;
            /**
             * Format: date-time
             * @description When it happened.
             * @example 2026-11-22T09:30:00.000Z
             */
            at: string;
            /**
             * @description A kind of operation, the name of a request, or a word as `login`, `policy_changed`.
             * @example firmware_update
             */
            what: string;
            /**
             * @description `asked` and `ended`: of an operation. `refused`: no operation came of the request. `done`: all the rest.
             * @enum {unknown}
             */
            phase: "asked" | "refused" | "ended" | "done";
            /** @description Who or what was the cause. */
            by: {
                /**
                 * @description A request of EVerest or of a caller of REST, a schedule, the depot by itself, or a file or setting that somebody has changed.
                 * @enum {unknown}
                 */
                cause: "everest" | "rest" | "schedule" | "depot" | "file";
                /**
                 * @description The caller, or the service.
                 * @example fleet-tool
                 */
                name?: string;
            };
            /** @description Absent: of the whole depot. */
            stationId?: string;
            /** @description The operation it belongs to. */
            operationId?: string;
            /** @description Whether it went well; absent: nothing to say yet. */
            ok?: boolean;
            /** @description Why not: a stable word. */
            reason?: string;
            /** @description The same for people. */
            message?: string;
            /** @description More of it: the SHA-256 of an image, what was changed. No secrets. */
            details?: {
                [key: string]: string | number | boolean | string[];
            };
            /**
             * @description Hash of the entry before.
             * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
             */
            previous: string;
            /**
             * @description SHA-256 of all the rest in its canonical form (RFC 8785).
             * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
             */
            hash: string;
        };
        /** @description Entries, the newest first. A page may be short and not be the last: only without `nextCursor` it is. */
        SecurityLogPage: {
            items: components["schemas"]["SecurityEntry"][];
            /** @description For the next page; absent on the last one. */
            nextCursor?: string;
            /** @description The newest entry. */
            head: {
                /** @description Its place in the chain; 0: before the first entry. */
                sequence: number;
                /**
                 * @description Its hash.
                 * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
                 */
                hash: string;
            };
            /** @description The newest entry that was removed because of its age; absent: none was. */
            checkpoint?: {
                /** @description Its place in the chain; 0: before the first entry. */
                sequence: number;
                /**
                 * @description Its hash.
                 * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
                 */
                hash: string;
            };
        };
        /** @description Whether the security log is whole. */
        SecurityVerdict: {
            /** @description Every entry is as it was chained, and none is missing. */
            ok: boolean;
            /** @description Entries that are right, from the first on. */
            entries: number;
            /** @description Where they begin. */
            first?: number;
            /** @description An entry, by its place and its hash. */
            last?: {
                /** @description Its place in the chain; 0: before the first entry. */
                sequence: number;
                /**
                 * @description Its hash.
                 * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
                 */
                hash: string;
            };
            /** @description The first thing that is wrong. */
            fault?: {
                /**
                 * @description `hash`: an entry is not what was chained. `link`: it does not follow the one before. `gap`: entries are missing. `cut`: the end is missing. `anchor`: what was noted is something else.
                 * @enum {unknown}
                 */
                kind: "hash" | "link" | "gap" | "cut" | "anchor";
                /** @description Where. */
                sequence: number;
            };
            /** @description The newest entry. */
            head: {
                /** @description Its place in the chain; 0: before the first entry. */
                sequence: number;
                /**
                 * @description Its hash.
                 * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
                 */
                hash: string;
            };
            /** @description The newest entry that was removed because of its age; absent: none was. */
            checkpoint?: {
                /** @description Its place in the chain; 0: before the first entry. */
                sequence: number;
                /**
                 * @description Its hash.
                 * @example 5f0c9a7be1000000000000000000000000000000000000000000000000000000
                 */
                hash: string;
            };
        };
        /**
         * @description FirmwareUpdateRequest without request_id; with location or artifact.
         * @example {
         *       "location": "https://files.example/charger-2.1.raucb",
         *       "retries": 3,
         *       "retry_interval_s": 60
         *     }
         */
        FirmwareUpdateOrder: {
            /** @description Where to fetch the image. */
            location?: string;
            /** @description SHA-256 of an image that the depot holds, lower-case hex: in place of a location. */
            artifact?: string;
            /** @description Tries in all, the first included. */
            retries?: number;
            /** @description Pause between tries, in seconds. */
            retry_interval_s?: number;
            /**
             * Format: date-time
             * @description Not to be fetched before. Before 2000: at once; after 2100: counts as 2100-01-01.
             */
            retrieve_timestamp?: string;
            /**
             * Format: date-time
             * @description Not to be installed before. Before 2000: at once; after 2100: counts as 2100-01-01.
             */
            install_timestamp?: string;
            /** @description PEM, the leaf first; intermediates may follow. */
            signing_certificate?: string;
            /** @description Base64 over the whole image. */
            signature?: string;
            /** @description true: end what EVerest asked for and is under way, instead of being refused. */
            replace?: boolean;
            /** @description What it is called, for people, and to find it by. */
            title?: string;
            /** @description true: as if `allow-installation` followed as soon as the image is ready. A car that charges then is cut off. Void when EVerest restarts after it was told of the image. */
            allowInstallation?: boolean;
        };
        /**
         * @description UploadLogsRequest without request_id; without location the archive goes to the depot’s object store.
         * @example {
         *       "type": "DiagnosticsLog",
         *       "oldest_timestamp": "2026-11-21T00:00:00Z"
         *     }
         */
        LogUploadOrder: {
            /** @description Where to store the archive. */
            location?: string;
            /** @description Tries in all, the first included. */
            retries?: number;
            /** @description Pause between tries, in seconds. */
            retry_interval_s?: number;
            /**
             * Format: date-time
             * @description Records before this are left out. Before 2000: no bound; after 2100: refused.
             */
            oldest_timestamp?: string;
            /**
             * Format: date-time
             * @description Records after this are left out. Before 2000 or after 2100: no bound.
             */
            latest_timestamp?: string;
            /** @description DiagnosticsLog or SecurityLog; absent means DiagnosticsLog. */
            type?: string;
            /** @description true: end what EVerest asked for and is under way, instead of being refused. */
            replace?: boolean;
            /** @description What it is called, for people, and to find it by. */
            title?: string;
        };
        /**
         * @description ResetRequest.
         * @example {
         *       "type": "Soft"
         *     }
         */
        ResetOrder: {
            type: components["schemas"]["ResetType"];
            /** @description The reset was put off until transactions had ended. */
            scheduled?: boolean;
            /** @description true: end what EVerest asked for and is under way, instead of being refused. */
            replace?: boolean;
            /** @description What it is called, for people, and to find it by. */
            title?: string;
        };
        /**
         * @description The time the station’s clock is set to, unless it differs only a little.
         * @example {
         *       "time": "2026-11-22T09:30:00Z"
         *     }
         */
        SystemTimeOrder: {
            time: components["schemas"]["SystemTime"];
        };
        /**
         * Format: date-time
         * @description RFC 3339 time.
         */
        SystemTime: string;
        /**
         * @description ConfigureNetworkRequest without request_id.
         * @example {
         *       "interface": "Wired0"
         *     }
         */
        NetworkOrder: {
            interface: components["schemas"]["InterfaceClassEnum"];
            /** @description Concrete interface; wins over the class. */
            interface_name?: string;
            apn?: components["schemas"]["APN"];
            vpn?: components["schemas"]["VPN"];
            /** @description true: end what EVerest asked for and is under way, instead of being refused. */
            replace?: boolean;
            /** @description What it is called, for people, and to find it by. */
            title?: string;
        };
        /**
         * @description Class of network interface.
         * @enum {unknown}
         */
        InterfaceClassEnum: "Wired0" | "Wired1" | "Wired2" | "Wired3" | "Wireless0" | "Wireless1" | "Wireless2" | "Wireless3" | "Any";
        /** @description Access to a mobile network. */
        APN: {
            /** @description Access point name. */
            apn: string;
            /** @description User name. */
            apn_user_name?: string;
            /** @description Password; a secret. */
            apn_password?: string;
            /** @description PIN of the SIM; a secret. */
            sim_pin?: string;
            /** @description Network to prefer. */
            preferred_network?: string;
            /** @description Use no other network. */
            use_only_preferred_network?: boolean;
            apn_authentication?: components["schemas"]["APNAuthenticationEnum"];
        };
        /**
         * @description How the modem authenticates.
         * @enum {unknown}
         */
        APNAuthenticationEnum: "CHAP" | "NONE" | "PAP" | "AUTO";
        /** @description A VPN to use on the interface. */
        VPN: {
            /** @description Address of the server. */
            server: string;
            type: components["schemas"]["VPNTypeEnum"];
            /** @description User name. */
            user?: string;
            /** @description Group. */
            group?: string;
            /** @description Password; a secret. */
            password?: string;
            /** @description Shared key; a secret. */
            key?: string;
        };
        /**
         * @description Kind of VPN.
         * @enum {unknown}
         */
        VPNTypeEnum: "IKEv2" | "IPSec" | "L2TP" | "PPTP" | "Other";
        /**
         * @description What changes of a station’s type and labels, RFC 7396. What is not named stays.
         * @example {
         *       "type": "dc-180",
         *       "labels": {
         *         "site": "north",
         *         "row": null
         *       }
         *     }
         */
        StationGroupsOrder: {
            /** @description What it is; null: as the stations file says. */
            type?: string | null;
            /** @description Labels to be set; null takes away what was set over REST. */
            labels?: {
                [key: string]: string | null;
            };
        };
        /**
         * @description The same order for many stations.
         * @example {
         *       "target": {
         *         "filter": "label.site = north"
         *       },
         *       "title": "North to 2.1",
         *       "order": {
         *         "location": "https://files.example/charger-2.1.raucb",
         *         "retries": 3
         *       }
         *     }
         */
        BulkFirmwareUpdateOrder: {
            /** @description Which stations: by name, by a filter, or both; 2000 at most. */
            target: {
                /** @description These stations. */
                stations?: string[];
                /**
                 * @description Stations that fit this filter; with `stations` those of them that do.
                 * @example label.site = north and version < 2.1
                 */
                filter?: string;
            };
            order: components["schemas"]["FirmwareUpdateOrder"];
            /** @description What all of it is called; the title of each order that has none. */
            title?: string;
            /** @description true: decide, and do nothing. */
            dryRun?: boolean;
        };
        /**
         * @description The same order for many stations.
         * @example {
         *       "target": {
         *         "filter": "label.site = north"
         *       },
         *       "order": {
         *         "type": "DiagnosticsLog",
         *         "oldest_timestamp": "2026-11-21T00:00:00Z"
         *       }
         *     }
         */
        BulkLogUploadOrder: {
            /** @description Which stations: by name, by a filter, or both; 2000 at most. */
            target: {
                /** @description These stations. */
                stations?: string[];
                /**
                 * @description Stations that fit this filter; with `stations` those of them that do.
                 * @example label.site = north and version < 2.1
                 */
                filter?: string;
            };
            order: components["schemas"]["LogUploadOrder"];
            /** @description What all of it is called; the title of each order that has none. */
            title?: string;
            /** @description true: decide, and do nothing. */
            dryRun?: boolean;
        };
        /**
         * @description The same order for many stations.
         * @example {
         *       "target": {
         *         "stations": [
         *           "cs-1",
         *           "cs-2"
         *         ]
         *       },
         *       "order": {
         *         "type": "Soft"
         *       },
         *       "dryRun": true
         *     }
         */
        BulkResetOrder: {
            /** @description Which stations: by name, by a filter, or both; 2000 at most. */
            target: {
                /** @description These stations. */
                stations?: string[];
                /**
                 * @description Stations that fit this filter; with `stations` those of them that do.
                 * @example label.site = north and version < 2.1
                 */
                filter?: string;
            };
            order: components["schemas"]["ResetOrder"];
            /** @description What all of it is called; the title of each order that has none. */
            title?: string;
            /** @description true: decide, and do nothing. */
            dryRun?: boolean;
        };
        /** @description What became of one order at each of many stations. */
        BulkResult: {
            /**
             * @description Its operations have this `orderId`: `filter=orderId = ...` finds them.
             * @example bulk-5f0c9a7be1d24c11
             */
            orderId: string;
            /** @description What it is called. */
            title?: string;
            /** @description true: nothing of it was done. */
            dryRun: boolean;
            /** @description Stations of the target. */
            total: number;
            /** @description Stations at which it was accepted. */
            accepted: number;
            /** @description Stations at which it was not. */
            refused: number;
            /** @description By name. */
            results: {
                /** @description The station. */
                stationId: string;
                /** @description The status that an order for this station alone would have been answered with. */
                status: number;
                /** @description The operation; absent where there is none, as for a dry run. */
                operationId?: string;
                problem?: components["schemas"]["Problem"];
            }[];
        };
        /** @description The session of a browser, known by a cookie that no script can read. */
        Session: {
            /**
             * @description Name of the API key it stands for; `oidc:` and a name, of somebody who has signed in at the provider.
             * @example local
             */
            caller: string;
            /** @description What it may. */
            scopes: ("read" | "operate" | "admin")[];
            /**
             * @description What it was begun with.
             * @enum {unknown}
             */
            signedInWith: "api_key" | "oidc";
            /** @description To be sent as `X-CSRF-Token` with every request that changes something. */
            csrfToken: string;
            /**
             * Format: date-time
             * @description When it ends.
             * @example 2026-11-22T09:30:00.000Z
             */
            expiresAt: string;
        };
        /**
         * @description For how long a code works.
         * @example {
         *       "seconds": 600
         *     }
         */
        SignInCodeOrder: {
            /** @description For how long it works. */
            seconds?: number;
        };
        /** @description A link that signs a browser in. */
        SignInCode: {
            /**
             * @description Opens the page and signs in, once.
             * @example /#sign-in=0Zr8...
             */
            path: string;
            /**
             * Format: date-time
             * @description Until when.
             * @example 2026-11-22T09:30:00.000Z
             */
            expiresAt: string;
        };
        /** @description The link to the world: its limits, and what keeps downloads. */
        Wan: {
            /**
             * @description Time zone of the depot (`DEPOT_TIME_ZONE`).
             * @example Europe/Berlin
             */
            timeZone: string;
            /** @description Bytes per second for all transfers together; absent: no limit. */
            rateLimitBytesPerS?: number;
            /** @description Bytes that one update may fetch; absent: no limit. */
            updateBudgetBytes?: number;
            /** @description An operator has paused all downloads. */
            paused: boolean;
            /**
             * Format: date-time
             * @description Since when.
             * @example 2026-11-22T09:30:00.000Z
             */
            pausedSince?: string;
            /** @description Who. */
            pausedBy?: string;
            /** @description When images are fetched. */
            window: {
                /**
                 * @description Times of day between which images are fetched (`DOWNLOAD_WINDOW`); none: always.
                 * @example [
                 *       "22:00-06:00"
                 *     ]
                 */
                times: string[];
                /** @description Images are fetched now. */
                open: boolean;
                /**
                 * Format: date-time
                 * @description When that changes; absent: never.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                until?: string;
            };
            /** @description What went over the link this month: bytes of content, without heads and TLS. */
            month: {
                /**
                 * @description Year and month at the depot.
                 * @example 2026-11
                 */
                name: string;
                /**
                 * Format: date-time
                 * @description When the next one begins.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                endsAt: string;
                /** @description Bytes of images that came. */
                downloadedBytes: number;
                /** @description Bytes of log archives that were sent to servers. */
                uploadedBytes: number;
                /** @description Bytes that running downloads have still to come. */
                claimedBytes: number;
                /** @description Bytes that may come and go; absent: no limit. */
                budgetBytes?: number;
                /** @description Who has set this budget in place of that of the settings. */
                budgetBy?: string;
            };
        };
        /**
         * @description Another budget for this month.
         * @example {
         *       "budgetBytes": 5000000000
         *     }
         */
        WanBudgetOrder: {
            /** @description Bytes that may come and go in the month that is now, or `unlimited`. */
            budgetBytes: number | "unlimited";
        };
        /** @description All webhooks, the oldest first. */
        WebhookPage: {
            items: components["schemas"]["Webhook"][];
        };
        /** @description Events of the depot are told to it, signed as Standard Webhooks has it, in order for each station. */
        Webhook: {
            /**
             * @description Id of the webhook.
             * @example wh_0a1b2c3d4e5f
             */
            id: string;
            /**
             * @description Where messages go: the origin, and `/…` for the rest, which may hold secrets.
             * @example https://csms.example/…
             */
            url: string;
            /** @description For people. */
            title?: string;
            /**
             * @description Which events it is told, in the language of filters; absent: every event.
             * @example event = operation and ended = true
             */
            filter?: string;
            /** @description Nothing is sent; what happens waits. */
            paused: boolean;
            /** @description Its receiver has answered 410 and wants no more; `PUT` lets it go on. */
            gone: boolean;
            /** @description The newest first, two at most: messages are signed by all of them. */
            keys: {
                /** @description Id of the key. */
                id: string;
                /**
                 * Format: date-time
                 * @description When it was made.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                createdAt: string;
                /**
                 * Format: date-time
                 * @description Until when messages are signed by it as well; absent: the key in use.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                expiresAt?: string;
            }[];
            /**
             * Format: date-time
             * @description When it was registered.
             * @example 2026-11-22T09:30:00.000Z
             */
            createdAt: string;
            /** @description Who registered it. */
            createdBy?: string;
            /** @description Messages that wait or are on their way. */
            waiting: number;
            /** @description Messages whose tries are used up. */
            deadLetters: number;
            /** @description Dead letters that made room for newer ones. */
            droppedDeadLetters: number;
        };
        /** @description A webhook with the secret of its newest key. */
        NewWebhook: {
            /**
             * @description Id of the webhook.
             * @example wh_0a1b2c3d4e5f
             */
            id: string;
            /**
             * @description Where messages go: the origin, and `/…` for the rest, which may hold secrets.
             * @example https://csms.example/…
             */
            url: string;
            /** @description For people. */
            title?: string;
            /**
             * @description Which events it is told, in the language of filters; absent: every event.
             * @example event = operation and ended = true
             */
            filter?: string;
            /** @description Nothing is sent; what happens waits. */
            paused: boolean;
            /** @description Its receiver has answered 410 and wants no more; `PUT` lets it go on. */
            gone: boolean;
            /** @description The newest first, two at most: messages are signed by all of them. */
            keys: {
                /** @description Id of the key. */
                id: string;
                /**
                 * Format: date-time
                 * @description When it was made.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                createdAt: string;
                /**
                 * Format: date-time
                 * @description Until when messages are signed by it as well; absent: the key in use.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                expiresAt?: string;
            }[];
            /**
             * Format: date-time
             * @description When it was registered.
             * @example 2026-11-22T09:30:00.000Z
             */
            createdAt: string;
            /** @description Who registered it. */
            createdBy?: string;
            /** @description Messages that wait or are on their way. */
            waiting: number;
            /** @description Messages whose tries are used up. */
            deadLetters: number;
            /** @description Dead letters that made room for newer ones. */
            droppedDeadLetters: number;
            /**
             * @description The key in use: `whsec_` and base64. It is told this once.
             * @example whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
             */
            secret: string;
        };
        /**
         * @description What a webhook is to be.
         * @example {
         *       "url": "https://csms.example/hooks/khumbu",
         *       "filter": "event = operation and ended = true"
         *     }
         */
        WebhookOrder: {
            /** @description Where messages go, by POST. Judged by the policy of locations. In a `PUT` also as `GET` shows it: as it is. */
            url: string;
            /** @description For people. */
            title?: string;
            /** @description Which events; absent: every event. */
            filter?: string;
            /** @description Nothing is sent for now. Default: false. */
            paused?: boolean;
        };
        /**
         * @description Another key.
         * @example {
         *       "overlapS": 86400
         *     }
         */
        WebhookKeyOrder: {
            /** @description Seconds for which messages are signed by the key before as well. Default: a day. */
            overlapS?: number;
        };
        /** @description Messages whose tries are used up, 1000 at most. */
        DeadLetterPage: {
            /** @description The oldest first. */
            items: {
                /** @description Id of the message, as in `webhook-id`. */
                id: string;
                /** @description The station it is about. */
                stationId?: string;
                /** @description Type of the event. */
                type: string;
                /**
                 * Format: date-time
                 * @description When it was given up.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                at: string;
                /** @description How often it was tried. */
                tries: number;
                /**
                 * @description Why the last try failed.
                 * @example http_500
                 * @example refused
                 * @example location_refused
                 */
                reason: string;
                /** @description The same for people. */
                message: string;
                /** @description The event, as `GET /v1/events` tells it. */
                event: unknown;
            }[];
        };
        /** @description What is sent again. */
        WebhookResend: {
            /** @description So many are on their way again, behind what waits for their stations. */
            resent: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type ArtifactPage = components['schemas']['ArtifactPage'];
export type Artifact = components['schemas']['Artifact'];
export type ArtifactSource = components['schemas']['ArtifactSource'];
export type ContentUrl = components['schemas']['ContentUrl'];
export type ContentUrlOrder = components['schemas']['ContentUrlOrder'];
export type ImageBytes = components['schemas']['ImageBytes'];
export type Depot = components['schemas']['Depot'];
export type DepotFile = components['schemas']['DepotFile'];
export type ImportedFile = components['schemas']['ImportedFile'];
export type DriverCheck = components['schemas']['DriverCheck'];
export type Event = components['schemas']['Event'];
export type OperationEvent = components['schemas']['OperationEvent'];
export type OperationKind = components['schemas']['OperationKind'];
export type Origin = components['schemas']['Origin'];
export type OperationStatus = components['schemas']['OperationStatus'];
export type Waiting = components['schemas']['Waiting'];
export type Outcome = components['schemas']['Outcome'];
export type StationEvent = components['schemas']['StationEvent'];
export type BootReason = components['schemas']['BootReason'];
export type ProgressEvent = components['schemas']['ProgressEvent'];
export type GapEvent = components['schemas']['GapEvent'];
export type LogArchivePage = components['schemas']['LogArchivePage'];
export type LogArchive = components['schemas']['LogArchive'];
export type LogViewLine = components['schemas']['LogViewLine'];
export type LogViewRecord = components['schemas']['LogViewRecord'];
export type LogViewNote = components['schemas']['LogViewNote'];
export type LogViewAlive = components['schemas']['LogViewAlive'];
export type LogViewEnd = components['schemas']['LogViewEnd'];
export type MqttFrames = components['schemas']['MqttFrames'];
export type MqttFrame = components['schemas']['MqttFrame'];
export type Operation = components['schemas']['Operation'];
export type Progress = components['schemas']['Progress'];
export type HistoryEntry = components['schemas']['HistoryEntry'];
export type StationPage = components['schemas']['StationPage'];
export type Station = components['schemas']['Station'];
export type OperationPage = components['schemas']['OperationPage'];
export type ResetPermission = components['schemas']['ResetPermission'];
export type ResetType = components['schemas']['ResetType'];
export type BootReasonView = components['schemas']['BootReasonView'];
export type Problem = components['schemas']['Problem'];
export type SecurityEntry = components['schemas']['SecurityEntry'];
export type SecurityLogPage = components['schemas']['SecurityLogPage'];
export type SecurityVerdict = components['schemas']['SecurityVerdict'];
export type FirmwareUpdateOrder = components['schemas']['FirmwareUpdateOrder'];
export type LogUploadOrder = components['schemas']['LogUploadOrder'];
export type ResetOrder = components['schemas']['ResetOrder'];
export type SystemTimeOrder = components['schemas']['SystemTimeOrder'];
export type SystemTime = components['schemas']['SystemTime'];
export type NetworkOrder = components['schemas']['NetworkOrder'];
export type InterfaceClassEnum = components['schemas']['InterfaceClassEnum'];
export type Apn = components['schemas']['APN'];
export type ApnAuthenticationEnum = components['schemas']['APNAuthenticationEnum'];
export type Vpn = components['schemas']['VPN'];
export type VpnTypeEnum = components['schemas']['VPNTypeEnum'];
export type StationGroupsOrder = components['schemas']['StationGroupsOrder'];
export type BulkFirmwareUpdateOrder = components['schemas']['BulkFirmwareUpdateOrder'];
export type BulkLogUploadOrder = components['schemas']['BulkLogUploadOrder'];
export type BulkResetOrder = components['schemas']['BulkResetOrder'];
export type BulkResult = components['schemas']['BulkResult'];
export type Session = components['schemas']['Session'];
export type SignInCodeOrder = components['schemas']['SignInCodeOrder'];
export type SignInCode = components['schemas']['SignInCode'];
export type Wan = components['schemas']['Wan'];
export type WanBudgetOrder = components['schemas']['WanBudgetOrder'];
export type WebhookPage = components['schemas']['WebhookPage'];
export type Webhook = components['schemas']['Webhook'];
export type NewWebhook = components['schemas']['NewWebhook'];
export type WebhookOrder = components['schemas']['WebhookOrder'];
export type WebhookKeyOrder = components['schemas']['WebhookKeyOrder'];
export type DeadLetterPage = components['schemas']['DeadLetterPage'];
export type WebhookResend = components['schemas']['WebhookResend'];
export type $defs = Record<string, never>;
export interface operations {
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    beginSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session; its cookie is set. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Session"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    endSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It has ended. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    makeSignInCode: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignInCodeOrder"];
            };
        };
        responses: {
            /** @description The link, below the address of this gateway. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignInCode"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listStations: {
        parameters: {
            query?: {
                /**
                 * @description Only what fits this filter.
                 * @example label.site = north and version < 2.1
                 */
                filter?: string;
                /** @description In which order; `-`: the last one first. By name where it is absent. */
                sort?: "stationId" | "-stationId" | "lastSeenAt" | "-lastSeenAt" | "version" | "-version";
                /**
                 * @description Only those that were heard at this time or later.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                since?: string;
                /**
                 * @description Only those that were heard before this time, and not since.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                until?: string;
                /** @description true: tell how many there are on all pages. */
                total?: boolean;
                /** @description Items on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of stations. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StationPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getStation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The station. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Station"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    setStationGroups: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StationGroupsOrder"];
            };
        };
        responses: {
            /** @description The station as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Station"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listFirmwareUpdates: {
        parameters: {
            query?: {
                /**
                 * @description `open`, `ended`, or a status such as `Downloading`.
                 * @example open
                 */
                status?: "open" | "ended" | "Offered" | "Accepted" | "Superseded" | "Canceled" | "Withdrawn" | "Resetting" | "Restarting" | "Restarted" | "Failed" | "Ready" | "Pending" | "Done" | "Downloaded" | "DownloadFailed" | "Downloading" | "DownloadScheduled" | "DownloadPaused" | "Idle" | "InstallationFailed" | "Installing" | "Installed" | "InstallRebooting" | "InstallScheduled" | "InstallVerificationFailed" | "InvalidSignature" | "SignatureVerified" | "AcceptedCanceled" | "BadMessage" | "NotSupportedOperation" | "PermissionDenied" | "Uploaded" | "UploadFailure" | "Uploading";
                /** @description Who asked. */
                origin?: "everest" | "rest";
                /** @description Items on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of operations. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OperationPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    startFirmwareUpdate: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["FirmwareUpdateOrder"];
            };
        };
        responses: {
            /** @description Accepted: the operation, to be followed at Location. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    allowInstallation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation; the permission is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pauseDownload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation; this is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resumeDownload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation; this is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    downloadNow: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation; this is stored. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getFirmwareUpdate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancelFirmwareUpdate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation, which has ended. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listLogUploads: {
        parameters: {
            query?: {
                /**
                 * @description `open`, `ended`, or a status such as `Downloading`.
                 * @example open
                 */
                status?: "open" | "ended" | "Offered" | "Accepted" | "Superseded" | "Canceled" | "Withdrawn" | "Resetting" | "Restarting" | "Restarted" | "Failed" | "Ready" | "Pending" | "Done" | "Downloaded" | "DownloadFailed" | "Downloading" | "DownloadScheduled" | "DownloadPaused" | "Idle" | "InstallationFailed" | "Installing" | "Installed" | "InstallRebooting" | "InstallScheduled" | "InstallVerificationFailed" | "InvalidSignature" | "SignatureVerified" | "AcceptedCanceled" | "BadMessage" | "NotSupportedOperation" | "PermissionDenied" | "Uploaded" | "UploadFailure" | "Uploading";
                /** @description Who asked. */
                origin?: "everest" | "rest";
                /** @description Items on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: string;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of operations. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OperationPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    startLogUpload: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["LogUploadOrder"];
            };
        };
        responses: {
            /** @description Accepted: the operation, to be followed at Location. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getLogArchive: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Where the archive is. */
            302: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getLogUpload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    cancelLogUpload: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation, which has ended. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listLogArchives: {
        parameters: {
            query?: {
                /** @description Only of this station. */
                station?: string;
                /** @description Only of this type. */
                type?: "DiagnosticsLog" | "SecurityLog";
                /**
                 * @description Only those that were asked for from this time on.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                since?: string;
                /**
                 * @description Only those that were asked for up to this time.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                until?: string;
                /** @description Items on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of archives. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogArchivePage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getKeptLogArchive: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the log upload. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The archive. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LogArchive"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getKeptLogArchiveContent: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description RFC 9110, 14.2; several ranges too.
                 * @example bytes=0-1023
                 */
                range?: string;
                /** @description The ETag: ranges only of that. */
                "if-range"?: string;
                /** @description ETags. */
                "if-match"?: string;
                /** @description ETags. */
                "if-none-match"?: string;
            };
            path: {
                /** @description Id of the log upload. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of its bytes. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/gzip": string;
                    "application/zstd": string;
                };
            };
            /** @description The bytes that were asked for. */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/gzip": string;
                    "application/zstd": string;
                    "multipart/byteranges": string;
                };
            };
            /** @description The reader has it already. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resetStation: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResetOrder"];
            };
        };
        responses: {
            /** @description Accepted: the operation, to be followed at Location. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getResetPermission: {
        parameters: {
            query?: {
                /** @description Which reset. */
                type?: "Soft" | "Hard" | "NotSpecified";
            };
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The permission. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResetPermission"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    setSystemTime: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SystemTimeOrder"];
            };
        };
        responses: {
            /** @description Accepted: the operation, to be followed at Location. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getBootReason: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The reason. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BootReasonView"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    configureNetwork: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NetworkOrder"];
            };
        };
        responses: {
            /** @description Accepted: the operation, to be followed at Location. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    startFirmwareUpdates: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BulkFirmwareUpdateOrder"];
            };
        };
        responses: {
            /** @description What became of it at each station; some may have refused. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BulkResult"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    startLogUploads: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BulkLogUploadOrder"];
            };
        };
        responses: {
            /** @description What became of it at each station; some may have refused. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BulkResult"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resetStations: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.
                 * @example 5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10
                 */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["BulkResetOrder"];
            };
        };
        responses: {
            /** @description What became of it at each station; some may have refused. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BulkResult"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    searchOperations: {
        parameters: {
            query?: {
                /** @description Only of this station. */
                station?: string;
                /** @description Only of this kind. */
                kind?: "firmware_update" | "log_upload" | "reset" | "configure_network" | "set_system_time";
                /**
                 * @description `open`, `ended`, or a status such as `Downloading`.
                 * @example open
                 */
                status?: "open" | "ended" | "Offered" | "Accepted" | "Superseded" | "Canceled" | "Withdrawn" | "Resetting" | "Restarting" | "Restarted" | "Failed" | "Ready" | "Pending" | "Done" | "Downloaded" | "DownloadFailed" | "Downloading" | "DownloadScheduled" | "DownloadPaused" | "Idle" | "InstallationFailed" | "Installing" | "Installed" | "InstallRebooting" | "InstallScheduled" | "InstallVerificationFailed" | "InvalidSignature" | "SignatureVerified" | "AcceptedCanceled" | "BadMessage" | "NotSupportedOperation" | "PermissionDenied" | "Uploaded" | "UploadFailure" | "Uploading";
                /** @description Who asked. */
                origin?: "everest" | "rest";
                /**
                 * @description Only what fits this filter.
                 * @example kind = log_upload and ok = false
                 */
                filter?: string;
                /** @description In which order; `-`: the newest first. Where it is absent, open ones come first, then ended ones, the newest first in each part. */
                sort?: "createdAt" | "-createdAt" | "updatedAt" | "-updatedAt";
                /**
                 * @description Only those that were asked for at this time or later.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                since?: string;
                /**
                 * @description Only those that were asked for before this time.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                until?: string;
                /** @description true: tell how many there are on all pages. */
                total?: boolean;
                /** @description Items on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of operations. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OperationPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getOperation: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Id of the operation. */
                operationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The operation. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Operation"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDepot: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The depot. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Depot"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getWan: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The link as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Wan"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pauseDownloads: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The link as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Wan"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resumeDownloads: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The link as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Wan"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    setWanBudget: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WanBudgetOrder"];
            };
        };
        responses: {
            /** @description The link as it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Wan"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listWebhooks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    createWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookOrder"];
            };
        };
        responses: {
            /** @description The webhook, with its secret. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewWebhook"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    replaceWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookOrder"];
            };
        };
        responses: {
            /** @description As it is now. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is gone. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    rotateWebhookKey: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookKeyOrder"];
            };
        };
        responses: {
            /** @description The webhook, with its new secret. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewWebhook"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    pingWebhook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is on its way. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Webhook"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listDeadLetters: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeadLetterPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resendDeadLetters: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How many. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookResend"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    resendDeadLetter: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the webhook.
                 * @example wh_0a1b2c3d4e5f
                 */
                webhookId: string;
                /** @description Id of the message. */
                deliveryId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookResend"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSecurityLog: {
        parameters: {
            query?: {
                /** @description Only of this station. */
                station?: string;
                /** @description Only these, as `login`. */
                what?: string;
                /**
                 * @description Only from this time on.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                since?: string;
                /**
                 * @description Only up to this time.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                until?: string;
                /** @description Entries on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of entries. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SecurityLogPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    verifySecurityLog: {
        parameters: {
            query?: {
                /** @description What was noted outside, as `sequence:hash`; may be repeated. */
                anchor?: string[];
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What was found. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SecurityVerdict"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDriverCheck: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The last look. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DriverCheck"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    checkDriver: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Asked for: to be followed at Location. */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DriverCheck"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getMqttFrames: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Its frames, oldest first. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MqttFrames"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    listFirmwareArtifacts: {
        parameters: {
            query?: {
                /** @description Items on a page. */
                limit?: number;
                /** @description nextCursor of the page before. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of artefacts. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ArtifactPage"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    uploadFirmwareArtifact: {
        parameters: {
            query?: {
                /**
                 * @description What it has to be; otherwise nothing is taken.
                 * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                 */
                sha256?: string;
                /**
                 * @description The location whose updates it is for, whatever is there: they get it without a request to that server. User, password, fragment and ignored parameters do not count.
                 * @example ftp://files.example/charger-2.1.raucb
                 */
                location?: string;
                /** @description What to show as its source: the name of the file. */
                name?: string;
            };
            header?: {
                /** @description base64: the signature over its bytes, as in an update. */
                "khumbu-signature"?: string;
                /** @description base64 of the PEM text of the signing certificate; with `Khumbu-Signature`. */
                "khumbu-certificate"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": components["schemas"]["ImageBytes"];
            };
        };
        responses: {
            /** @description The depot held it already: the artefact. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
            /** @description The artefact. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getFirmwareArtifact: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description SHA-256 of the artefact, lower-case hex.
                 * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                 */
                sha256: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The artefact. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putFirmwareArtifact: {
        parameters: {
            query?: {
                /**
                 * @description The location whose updates it is for, whatever is there: they get it without a request to that server. User, password, fragment and ignored parameters do not count.
                 * @example ftp://files.example/charger-2.1.raucb
                 */
                location?: string;
                /** @description What to show as its source: the name of the file. */
                name?: string;
            };
            header?: {
                /** @description base64: the signature over its bytes, as in an update. */
                "khumbu-signature"?: string;
                /** @description base64 of the PEM text of the signing certificate; with `Khumbu-Signature`. */
                "khumbu-certificate"?: string;
            };
            path: {
                /**
                 * @description SHA-256 of the artefact, lower-case hex.
                 * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                 */
                sha256: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": components["schemas"]["ImageBytes"];
            };
        };
        responses: {
            /** @description The depot held it already: the artefact. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
            /** @description The artefact. */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Artifact"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteFirmwareArtifact: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description SHA-256 of the artefact, lower-case hex.
                 * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                 */
                sha256: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is removed. */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getFirmwareArtifactContent: {
        parameters: {
            query?: {
                /** @description Of a signed URL: until when, in seconds since 1970. */
                expires?: number;
                /** @description Of a signed URL: in place of a key. */
                signature?: string;
            };
            header?: {
                /**
                 * @description RFC 9110, 14.2; several ranges too.
                 * @example bytes=0-1023
                 */
                range?: string;
                /** @description The ETag: ranges only of that. */
                "if-range"?: string;
                /** @description ETags. */
                "if-match"?: string;
                /** @description ETags. */
                "if-none-match"?: string;
            };
            path: {
                /**
                 * @description SHA-256 of the artefact, lower-case hex.
                 * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                 */
                sha256: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All of its bytes. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description The bytes that were asked for. */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                    "multipart/byteranges": string;
                };
            };
            /** @description The reader has it already. */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    signFirmwareArtifactUrl: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description SHA-256 of the artefact, lower-case hex.
                 * @example 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
                 */
                sha256: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ContentUrlOrder"];
            };
        };
        responses: {
            /** @description The URL. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ContentUrl"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    viewLogs: {
        parameters: {
            query?: {
                /** @description Which logs. */
                type?: "DiagnosticsLog" | "SecurityLog";
                /**
                 * @description Only records from this time on, by the clock of the station.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                since?: string;
                /**
                 * @description Only records up to this time; not with `follow`.
                 * @example 2026-11-22T09:30:00.000Z
                 */
                until?: string;
                /**
                 * @description Only lines that this expression of RE2 fits somewhere, after secrets were taken out; `(?i)` before it ignores case.
                 * @example (?i)error|fault
                 */
                grep?: string;
                /** @description Only of these sources, by their names; may be repeated. */
                source?: string[];
                /** @description Go on with what is written, until you end the request. */
                follow?: boolean;
            };
            header?: never;
            path: {
                /**
                 * @description Id of the station.
                 * @example cs-1
                 */
                stationId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Its lines, as they come. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {"type":"record","source":"journal","time":"2026-11-22T09:30:00.123456Z","text":"2026-11-22T09:30:00.123456Z ... everest.service info manager: started"}
                     *     {"type":"note","source":"ocpp","code":"older_left_out","text":"these are the ends of the 2 newest of 9 files"}
                     *     {"type":"end","reason":"complete"}
                     */
                    "application/jsonl": components["schemas"]["LogViewLine"];
                    "text/plain": string;
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    followEvents: {
        parameters: {
            query?: {
                /** @description Only of these stations; may be repeated. */
                station?: string[];
                /** @description Only operations of these kinds; may be repeated. */
                kind?: ("firmware_update" | "log_upload" | "reset" | "configure_network" | "set_system_time")[];
                /** @description Only events of these types; may be repeated. */
                type?: ("operation" | "station" | "progress")[];
            };
            header?: {
                /** @description Id of the last event that was received: those after it are sent first. */
                "last-event-id"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The stream; it does not end. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example id: 1795339800123-0
                     *     event: operation
                     *     data: {"type":"operation","at":"2026-11-22T09:30:00.123Z","stationId":"cs-1","operationId":"firmware-update-mia0x1c2-5f0c9a7be1","kind":"firmware_update","origin":"rest","status":"Downloading","version":3,"ended":false}
                     */
                    "text/event-stream": components["schemas"]["Event"];
                };
            };
            /** @description An error. */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
