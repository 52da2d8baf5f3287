# What operators read about a call: how far it came (course), what was found, on whose side that is (fault), what to do.

# `space` or `none`: what stands between two sentences.
between-sentences = none

course-no-carrier = 利用できる通信事業者がありませんでした。
course-not-placed = 通信事業者 { $carrier } は発信を受け付けませんでした。
course-not-rung = 通信事業者 { $carrier } 経由で発信しましたが、呼び出しには至りませんでした。
course-dialled = 通信事業者 { $carrier } 経由で { $rang } 秒間発信しましたが、呼び出しの通知はありませんでした。
course-rang = 通信事業者 { $carrier } 経由で { $rang } 秒間呼び出しました。
course-answered = 通信事業者 { $carrier } 経由で { $rang } 秒後に応答があり、通話は { $talked } 秒間でした。

found-verified = 正しいキーが押され、確認されました。
found-nothing = 結果が出ないまま終了しました。
found-no_answer = 応答がありませんでした。
found-busy = 話し中でした。
found-rejected = 着信が拒否されました。
found-unreachable = この番号にはつながりませんでした。
found-invalid_number = この番号は存在しません。
found-voicemail = 留守番電話につながりました。
found-screened = 着信スクリーニングが応答しました。
found-hung_up_before_prompt = 質問の前に電話が切られました。
found-hung_up_after_prompt = 質問を聞いた後に電話が切られました。
found-no_input = キーが押されませんでした。
found-no_terminator = 数字は入力されましたが、最後の # がありませんでした。
found-wrong_input = 別のキーが押されました。
found-wrong_code = コードが正しくありませんでした。
found-carrier_error = 発信できませんでした。
found-blocked = この番号には発信できません。
found-callee_denied = 着信者が拒否の操作をしました。
found-fraud_reported = 着信者が心当たりのない電話として報告しました。
found-not_answered_in_time = 応答の前に時間切れになりました。
found-not_confirmed_in_time = 応答の後に時間切れになりました。
found-by_client = クライアントが取り消しました。

fault-callee = 着信側の事情です。
fault-carrier = 通信事業者またはその先の網の問題です。
fault-request = 依頼の内容を実行できません。
fault-us = こちら側の問題です。
fault-unknown = どこに原因があるかは分かりません。

do-no_answer = 電話を手元に置いてもう一度試すか、代わりの番号を使うよう案内してください。同じ国で応答のない通話が多い場合は、発信者番号が迷惑電話と表示されていないか確認してください。
do-busy = 1 分ほど待ってからもう一度試すよう案内してください。
do-rejected = どの番号からかかるかを伝えてから、もう一度かけてください。拒否が多い場合は、発信者番号が迷惑電話に登録されていないか通信事業者に確認するか、別の番号を使ってください。
do-unreachable = 電源が入っていないか圏外です。後で試すか、代わりの番号を使ってください。同じ国で多発する場合は、通信事業者に経路を問い合わせてください。
do-invalid_number = 番号を本人に確認してください。使われていない番号か、桁が足りません。
do-voicemail = 留守番電話を解除するか直接応答するよう案内するか、代わりの番号を使ってください。
do-screened = 発信者番号を連絡先に登録するよう案内してください。登録済みの番号は通されます。
do-hung_up_before_prompt = 誰が何のためにかけるかを事前に伝えてください。すぐ切られる通話が多い場合は、最初に無音がないか聞いて確かめてください。
do-hung_up_after_prompt = 心当たりのある電話か本人に確認してから、もう一度かけてください。
do-no_input = もう一度かけてください。多発する場合は、通信事業者がキー信号を伝えているか、電話を 1 台使って試してください。
do-no_terminator = 数字の後に # を押すよう伝えて、もう一度かけてください。
do-wrong_input = 押すキーを伝えて、もう一度かけてください。
do-wrong_code = もう一度かけてください。コードは通話ごとに変わります。同じ番号で繰り返す場合は、誰かが推測している可能性があります。
do-carrier_error = もう一度かけてください。繰り返す場合は `ringproof doctor` を実行し、通信事業者 { $carrier } 側の記録でこの通話を確認してください。
do-blocked = この番号が意図して止められているか確認してください。着信者の希望、報告、または通信事業者 { $carrier } による場合があります。
do-callee_denied = 本人と話すまで、かけ直さないでください。望まれない電話でした。
do-fraud_reported = かけ直さないでください。この電話を依頼したアカウントは攻撃を受けているものとして、誰が依頼したか確認してください。
do-not_answered_in_time = もう一度かけてください。呼び出しまでに時間がかかった場合は、発信から呼び出しまでの時間を確認し、通信事業者 { $carrier } に問い合わせてください。
do-not_confirmed_in_time = もう一度かけてください。時間が足りない場合は、確認の有効時間を長くしてください。
do-by_client = 対応は不要です。バックエンドが取り消しました。
do-fault-carrier = 通信事業者 { $carrier } の障害情報と記録を確認してください。続く間は別の通信事業者を優先してください。
do-fault-request = 通信事業者 { $carrier } の契約を確認してください。この国に発信できるか、発信者番号は自社のものか、この種類の番号にかけられるかを見てください。
do-fault-us = この通話の ID でこちらの記録を調べ、`ringproof doctor` を実行してください。直し方が表示されます。
do-code-credentials = 通信事業者 { $carrier } が認証情報を受け付けません。設定にあるアカウントと秘密情報を事業者側のものと比べ、更新されていれば設定に反映してください。直ったかどうかは `ringproof doctor` で確認できます。
do-code-account = 通信事業者 { $carrier } にこのアカウントがないか、停止されています。事業者の管理画面で通知や請求を確認し、設定のアカウントと比べてください。
do-code-caller_id = 通信事業者 { $carrier } がこの発信者番号の表示を許可していません。事業者側で番号を確認済みにするか、設定の `from` から外してください。
do-code-trial = 通信事業者 { $carrier } のアカウントは試用版で、確認済みの番号にしか発信できません。この番号を事業者側で確認済みにするか、アカウントを切り替えてください。
do-code-country = 通信事業者 { $carrier } のアカウントではこの国・地域に発信できません。事業者側で許可するか、`countries` で別の事業者に割り当ててください。
do-code-address = 通信事業者 { $carrier } が当方の呼び出し先アドレスを受け付けません。インターネットから届く `server.public_url` になっているか確認してください。
do-sip-denied = トランク { $carrier } が接続または発信を許可していません。ユーザー名とパスワード、許可されたアドレス、発信者番号を確認してください。
do-sip-media = トランク { $carrier } と共通の音声方式がありません。許可されたコーデック（こちらは G.711）と、暗号化（SRTP）の要否を確認してください。
do-sip-server = トランク { $carrier } が過負荷か停止しているか、応答しません。`ringproof doctor` で状態を確認し、事業者に問い合わせ、続く間は別の通信事業者を優先してください。
do-look-up = 通信事業者側の表示: { $code }
