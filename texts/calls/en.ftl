# What operators read about a call: how far it came (course), what was found, on whose side that is (fault), what to do.

# `space` or `none`: what stands between two sentences.
between-sentences = space

course-no-carrier = No carrier was found for it.
course-not-placed = The carrier { $carrier } did not take the call.
course-not-rung = Dialled over the carrier { $carrier }; it did not ring.
course-dialled = Dialled over the carrier { $carrier } for { $rang } s; that it rang was not reported.
course-rang = Rang { $rang } s over the carrier { $carrier }.
course-answered = Answered after { $rang } s over the carrier { $carrier }, and lasted { $talked } s.

found-verified = The right keys came: verified.
found-nothing = It ended without a result.
found-no_answer = Nobody answered.
found-busy = The line was busy.
found-rejected = The call was declined.
found-unreachable = The number could not be reached.
found-invalid_number = There is no such number.
found-voicemail = A mailbox answered.
found-screened = A call-screening service answered.
found-hung_up_before_prompt = The callee hung up before the question was asked.
found-hung_up_after_prompt = The callee heard the question and hung up.
found-no_input = Nothing was pressed.
found-no_terminator = Digits came, but no # at the end.
found-wrong_input = Other keys were pressed.
found-wrong_code = The code was wrong.
found-carrier_error = The call could not be made.
found-blocked = The number may not be called.
found-callee_denied = The callee said no.
found-fraud_reported = The callee reported an unwanted call.
found-not_answered_in_time = Time ran out before anybody answered.
found-not_confirmed_in_time = Time ran out after it was answered.
found-by_client = The client canceled.

fault-callee = That is on the callee's side.
fault-carrier = That is on the side of the carrier or the network behind it.
fault-request = What was asked for cannot be done.
fault-us = That is on our side.
fault-unknown = Nobody can tell on whose side that is.

do-no_answer = Let the person try again with the telephone at hand, or use the alternate number. If many calls of this country ring out, listen to one: the caller ID may be shown as spam.
do-busy = Let the person try again in a minute.
do-rejected = Tell the person which number calls, then call again. If many are declined, the caller ID may be marked as spam: ask the carrier, or use another number.
do-unreachable = The telephone is off or without a network: try later or use the alternate number. If many numbers of one country cannot be reached, ask the carrier about its route.
do-invalid_number = Have the number checked with the person; it is not in use, or a digit is missing.
do-voicemail = Have the person switch the mailbox off or answer, or use the alternate number.
do-screened = Have the person add the caller ID to the contacts: screening lets known numbers through.
do-hung_up_before_prompt = Tell the person beforehand who calls and why. If many hang up at once, listen to a call: silence at its beginning makes people hang up.
do-hung_up_after_prompt = Ask the person whether the call was expected; then call again.
do-no_input = Call again. If many calls end so, test with one telephone whether its keys reach us: the carrier may not pass them on.
do-no_terminator = Tell the person to press # after the digits, then call again.
do-wrong_input = Tell the person what to press, then call again.
do-wrong_code = Call again: each call has a code of its own. If it happens again for one number, somebody may be guessing.
do-carrier_error = Call again. If it happens again, run `ringproof doctor` and look at the carrier { $carrier }'s own log for this call.
do-blocked = Look whether the number is barred on purpose: by the callee's wish, by a report, or by the carrier { $carrier }.
do-callee_denied = Do not call again before somebody has spoken with the person: the call was not wanted.
do-fraud_reported = Do not call again. Treat the account that asked for this call as attacked, and look who asked.
do-not_answered_in_time = Call again. If it took long until it rang, look at the time between placing and ringing, and ask the carrier { $carrier }.
do-not_confirmed_in_time = Call again, and let the verification live longer if people need more time.
do-by_client = Nothing is to be done: the backend took it back.
do-fault-carrier = Look at the status page and the own log of the carrier { $carrier }. While it lasts, put another carrier in front.
do-fault-request = Look at the account of the carrier { $carrier }: may it call this country, is the caller ID its own, is the number of a kind that it calls?
do-fault-us = Look at our log for this call's id, then run `ringproof doctor`: it says what to repair.
do-code-credentials = The carrier { $carrier } does not accept our credentials. Compare the account and the secret in its settings with those at the carrier; one that was renewed there has to be put in here. `ringproof doctor` says when it knows us again.
do-code-account = The carrier { $carrier } knows no such account, or it is suspended: look at its web pages for a notice or a bill, and compare the account in its settings.
do-code-caller_id = The carrier { $carrier } does not let us show the number we called from. Have that number confirmed at the carrier, or take it out of `from` in its settings.
do-code-trial = The account at the carrier { $carrier } is a trial: it calls confirmed numbers only. Confirm this one there, or upgrade the account.
do-code-country = The account at the carrier { $carrier } may not call this country: allow the country there, or give it to another carrier with `countries`.
do-code-address = The carrier { $carrier } does not take the addresses that it is to call us at: look at `server.public_url`, which it must reach from the internet.
do-sip-denied = The trunk { $carrier } does not let us in or does not let us call there: check user name and password, whether our address is on its list, and whether the caller ID is its own.
do-sip-media = The trunk { $carrier } and we have no way of talking in common: check which codecs it allows (we speak G.711), and whether it wants or forbids encryption (SRTP).
do-sip-server = The trunk { $carrier } is overloaded, down or does not answer: check its health with `ringproof doctor`, ask its operator, and put another carrier in front while it lasts.
do-look-up = The carrier's own word for it: { $code }.
